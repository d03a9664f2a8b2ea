"""`import-holds` reads holds from a CSV file; `holds` lists, places and ends them through the API."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from recovery_client import risk
from recovery_client.client import RecoveryClient
from recovery_client.errors import ClientError
from recovery_client.shapes import Hold
from recovery_core.holds import HoldKind
from recovery_core.policies.parts import Action
from risk_assessment.client import client_of
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
    print_json,
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
    holds = typer.Typer(no_args_is_help=True, help="List, place and end holds.")
    app.add_typer(holds, name="holds")

    @holds.command("list")
    def list_holds(
        portfolio: Annotated[str | None, typer.Option(help="Of this portfolio")] = None,
        debtor_id: Annotated[int | None, typer.Option(help="Of this debtor itself")] = None,
        kind: Annotated[HoldKind | None, typer.Option(help="Of this kind")] = None,
        every: Annotated[bool, typer.Option("--all", help="Also those that are not in force now")] = False,
        as_json: AsJson = False,
    ) -> None:
        """List holds that are in force now, the last recorded first."""
        active = None if every else "true"
        with _client() as client:
            found = list(client.items(risk.holds(portfolio=portfolio, debtor_id=debtor_id, kind=kind, active=active)))
        print_json(found) if as_json else _print(found)

    @holds.command()
    def place(
        kind: Annotated[HoldKind, typer.Option(help="Why there is a hold")],
        reason: Annotated[str, typer.Option(help="What led to it; it is kept on record")],
        debtor_id: Annotated[int | None, typer.Option(help="The debtor")] = None,
        portfolio: Annotated[str | None, typer.Option(help="Portfolio of the reference")] = None,
        external_ref: Annotated[str | None, typer.Option(help="The debtor, by its reference")] = None,
        person_ref: Annotated[str | None, typer.Option(help="The person")] = None,
        since: Annotated[str | None, typer.Option("--from", help="A date, or an instant with its offset [now]")] = None,
        until: Annotated[str | None, typer.Option(help="The last day, or an instant [open]")] = None,
        block: Annotated[list[Action] | None, typer.Option(help="An action; repeatable [all of them]")] = None,
        source: Annotated[str | None, typer.Option(help="The system that it comes from")] = None,
        as_json: AsJson = False,
    ) -> None:
        """Place a hold on a debtor or a person."""
        target = {
            "debtor_id": debtor_id,
            "portfolio": portfolio,
            "external_ref": external_ref,
            "person_ref": person_ref,
        }
        about = {"kind": kind, "reason": reason, "from": since, "until": until, "blocks": block, "source": source}
        with _client() as client:
            hold = client.ask(risk.place_hold(**target, **about))
        print_json(hold) if as_json else _print([hold])

    @holds.command()
    def end(
        hold_id: Annotated[str, typer.Argument(help="The id of the hold")],
        reason: Annotated[str, typer.Option(help="Why it ends; it is kept on record")],
        at: Annotated[
            str | None, typer.Option(help="An instant with its offset, not before the hold began [now]")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """End a hold."""
        with _client() as client:
            hold = client.ask(risk.end_hold(hold_id, reason=reason, at=at))
        print_json(hold) if as_json else _print([hold])

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


@contextmanager
def _client() -> Iterator[RecoveryClient]:
    settings = start_command(Settings, PACKAGE)
    with clear_errors(PACKAGE, (ClientError,)):
        yield client_of(settings)


def _print(holds: list[Hold]) -> None:
    for hold in holds:
        typer.echo(_line(hold))


def _line(hold: Hold) -> str:
    of = f"person {hold['person_ref']}" if hold["debtor_id"] is None else f"debtor {hold['debtor_id']}"
    blocks = "everything" if hold["blocks"] == "all" else ", ".join(hold["blocks"])
    ends_at = hold["ended_at"] or hold["until"]
    span = f"from {hold['from']}" + (f" until {ends_at}" if ends_at else "")
    return f"{hold['id']}  {hold['kind']} of {of} in {hold['portfolio']} blocks {blocks} {span}: {hold['reason']}"
