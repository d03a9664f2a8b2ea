"""`generate-debtors` and `import-debtors`: fill a portfolio."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from recovery_core.policies.document import PolicyError
from risk_assessment.debtors import loading
from risk_assessment.debtors.bulk import CHUNK, DeclarationChangedError, bulk_scorer
from risk_assessment.debtors.generating import distribution_named, generate
from risk_assessment.debtors.importing.closing import WholeFile
from risk_assessment.debtors.importing.file_import import import_file
from risk_assessment.debtors.importing.mapping import read_mapping
from risk_assessment.debtors.importing.needs import needs_of
from risk_assessment.debtors.loading import BulkLoad, PortfolioInUseError
from risk_assessment.fields import PortfolioName
from risk_assessment.metadata import audit_records
from risk_assessment.policies.registry import PolicyRegistry, load_registry
from risk_assessment.settings import PACKAGE, Settings
from service_kit.cli import (
    AsJson,
    audit_of_command,
    clear_errors,
    counts_as_text,
    fail,
    finish_import,
    import_refusals,
    opened,
    print_json,
    progress_bar,
    start_command,
)
from service_kit.csv_files.source import STDIN, FileChangedError
from service_kit.database.engine import Database
from service_kit.database.migrations import MigrationError

KNOWN = (DeclarationChangedError, MigrationError, PolicyError, PortfolioInUseError, FileChangedError)


def add_debtor_commands(app: typer.Typer) -> None:
    """Add the commands about debtors."""

    @app.command()
    def generate_debtors(
        count: Annotated[int, typer.Option(min=1, max=100_000_000, help="How many debtors")] = 50_000,
        distribution: Annotated[str, typer.Option(help="balanced, high-risk or low-risk")] = "balanced",
        seed: Annotated[int, typer.Option(help="The same seed gives the same portfolio")] = 42,
        clear: Annotated[bool, typer.Option("--clear", help="Delete the portfolio's debtors first")] = False,
        portfolio: Annotated[str, typer.Option(help="Which portfolio")] = "default",
        as_json: AsJson = False,
    ) -> None:
        """Fill a portfolio with invented debtors."""
        with _opened() as (database, registry):
            kind = distribution_named(distribution)
            name = _checked_portfolio(portfolio)
            audit = audit_of_command(audit_records)
            _check_generated(database, registry, name)
            scorer = bulk_scorer(database, registry, name, audit.at)
            cleared = database.transact(lambda c: loading.clear(c, name, audit)) if clear else 0
            load = BulkLoad(database, name, scorer, audit, "portfolio.generated")
            rows = ((row, scorer.score(row)) for row in generate(count, kind, seed))
            with progress_bar("generating", count) as advance:
                while chunk := list(islice(rows, CHUNK)):
                    load.load(chunk)
                    advance(len(chunk))
        counted = {"portfolio": name, "cleared": cleared, **load.changes.as_dict()}
        print_json(counted) if as_json else typer.echo(counts_as_text(counted))

    @app.command()
    def import_debtors(
        file: Annotated[Path, typer.Argument(help="CSV file, or - for standard input")],
        mapping: Annotated[Path | None, typer.Option(help="Mapping file (TOML): where each field comes from")] = None,
        portfolio: Annotated[str | None, typer.Option(help="Portfolio other than the mapping's")] = None,
        rejects: Annotated[
            Path | None, typer.Option(help="Where bad rows are listed; by default in FILE.rejects.csv, here")
        ] = None,
        full: Annotated[
            bool, typer.Option("--full", help="The file is the whole portfolio: list who is no longer in it")
        ] = False,
        close_missing: Annotated[
            bool, typer.Option("--close-missing", help="With --full (implied): close who is no longer in it as PAID")
        ] = False,
        missing: Annotated[
            Path | None, typer.Option(help="Where missing debtors are listed; by default in FILE.missing.csv, here")
        ] = None,
        as_json: AsJson = False,
    ) -> None:
        """Import a portfolio from CSV. Bad rows are listed and left out; importing a file twice changes nothing.

        A balance of 0 or a credit closes a debtor as PAID. An unknown debtor who owes nothing is skipped.

        Exits with 0 when every row came in or was skipped on purpose, with 3 when rows were rejected, with 4 when
        nothing came in because the file was refused or every row was rejected.
        """
        with _opened() as (database, registry), import_refusals():
            chosen = read_mapping(mapping) if mapping else None
            name = _checked_portfolio(portfolio) if portfolio else None
            stem = "stdin" if file == STDIN else file.stem
            reject_file = rejects or Path(f"{stem}.rejects.csv")
            whole = None
            if full or close_missing or missing:
                whole = WholeFile(missing or Path(f"{stem}.missing.csv"), close_missing)
            audit = audit_of_command(audit_records)
            with progress_bar("importing", file.stat().st_size if file.is_file() else None) as advance:
                report = import_file(
                    database, registry, audit, file, chosen, name, reject_file, advance, _announce, whole
                )
        finish_import(report, as_json)


@contextmanager
def _opened() -> Iterator[tuple[Database, PolicyRegistry]]:
    settings = start_command(Settings, PACKAGE)
    with clear_errors(PACKAGE, KNOWN), opened(settings.risk_database_url) as database:
        yield database, load_registry(settings.risk_policy, settings.risk_policy_dir)


def _announce(text: str) -> None:
    typer.echo(f"note: {text}", err=True)


def _check_generated(database: Database, registry: PolicyRegistry, portfolio: str) -> None:
    with database.read() as connection:
        lacking = needs_of(connection, registry, portfolio).attributes()
    if lacking:
        fail(f"portfolio {portfolio} needs {', '.join(lacking)}, which generated debtors do not have")


def _checked_portfolio(name: str) -> str:
    try:
        return TypeAdapter(PortfolioName).validate_python(name)
    except ValidationError as error:
        fail(f"portfolio: {error.errors()[0]['msg']}", code=2)
