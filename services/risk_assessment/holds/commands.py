"""`import-holds`: holds from a CSV file, at the command line."""

from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from risk_assessment.fields import PortfolioName
from risk_assessment.holds.importing import import_holds
from risk_assessment.metadata import audit_records
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import (
    AsJson,
    audit_of_command,
    clear_errors,
    fail,
    finish_import,
    import_refusals,
    opened,
    progress_bar,
    start_command,
)
from service_kit.csv_files.header import Style
from service_kit.csv_files.kinds import encoding_named
from service_kit.csv_files.source import STDIN, FileChangedError
from service_kit.database.migrations import MigrationError

KNOWN = (MigrationError, FileChangedError)


def add_hold_commands(app: typer.Typer) -> None:
    """Add the commands about holds."""

    @app.command("import-holds")
    def import_holds_command(
        file: Annotated[Path, typer.Argument(help="CSV file, or - for standard input")],
        portfolio: Annotated[str | None, typer.Option(help="Portfolio of rows that name none")] = None,
        encoding: Annotated[str | None, typer.Option(help="Encoding, where it is not UTF-8, such as cp1252")] = None,
        rejects: Annotated[
            Path | None, typer.Option(help="Where bad rows are listed; by default in FILE.rejects.csv, here")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Import holds from CSV. Bad rows are listed and left out; importing a file twice changes nothing.

        Columns: debtor_id, or portfolio with external_ref or person_ref; kind, from, until, reason, source.
        Exits with 0 when every row came in, with 3 when rows were rejected, with 4 when nothing came in because the
        file was refused or every row was rejected.
        """
        settings = start_command(Settings, PACKAGE)
        with clear_errors(PACKAGE, KNOWN), opened(settings.risk_database_url) as database, import_refusals():
            style = Style(encoding=_checked_encoding(encoding) if encoding else None)
            name = _checked_portfolio(portfolio) if portfolio else None
            reject_file = rejects or Path(f"{'stdin' if file == STDIN else file.stem}.rejects.csv")
            audit = audit_of_command(audit_records)
            with progress_bar("importing", file.stat().st_size if file.is_file() else None) as advance:
                report = import_holds(database, audit, file, name, style, reject_file, advance)
        finish_import(report, as_json)


def _checked_encoding(name: str) -> str:
    try:
        return encoding_named(name)
    except ValueError as error:
        fail(f"encoding: {error}", code=2)


def _checked_portfolio(name: str) -> str:
    try:
        return TypeAdapter(PortfolioName).validate_python(name)
    except ValidationError as error:
        fail(f"portfolio: {error.errors()[0]['msg']}", code=2)
