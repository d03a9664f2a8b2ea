"""`risk-assessment`: the commands of the risk service. Each noun adds its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated

import typer

from recovery_core.policies.document import PolicyError
from risk_assessment.comparisons.commands import add_comparison_commands
from risk_assessment.debtors.commands import add_debtor_commands
from risk_assessment.evidence.commands import add_evidence_commands
from risk_assessment.holds.commands import add_hold_commands
from risk_assessment.metadata import api_keys, audit_records
from risk_assessment.policies.commands import add_policy_commands
from risk_assessment.runs.commands import add_run_commands
from risk_assessment.settings import PACKAGE, Settings
from risk_assessment.simulations.commands import add_simulation_commands
from service_kit.cli import (
    GrantTo,
    ListenFd,
    add_key_commands,
    clear_errors,
    command_app,
    opened,
    start_command,
    start_process,
)
from service_kit.cli import migrate as migrate_database
from service_kit.database.engine import Database
from service_kit.database.grants import GrantError
from service_kit.database.migrations import MigrationError

KNOWN = (GrantError, MigrationError, PolicyError)

app = command_app("SmartRecover's risk service.")


def main() -> None:
    """Run a command; any error is one clear line and a non-zero exit."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (RISK_HOST)")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (RISK_PORT)")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that share the port, for several cores (RISK_API_WORKERS)")
    ] = None,
    listen_fd: ListenFd = None,
) -> None:
    """Serve the HTTP API until asked to stop."""
    from risk_assessment.app import create_app  # noqa: PLC0415 - the other commands start without it
    from service_kit.http.serving.server import serve as serve_app  # noqa: PLC0415
    from service_kit.http.serving.workers import serve_with_workers  # noqa: PLC0415

    given = {"risk_host": host, "risk_port": port, "risk_api_workers": workers}
    settings = start_process(Settings, PACKAGE, "risk_host", **given)
    with clear_errors(PACKAGE, KNOWN):
        application = create_app(settings)
        if settings.risk_api_workers > 1 and listen_fd is None:
            code = serve_with_workers(PACKAGE, settings.risk_host, settings.risk_port, settings.risk_api_workers)
            raise typer.Exit(code)
    raise typer.Exit(serve_app(application, settings.risk_host, settings.risk_port, listen_fd=listen_fd))


@app.command()
def dispatch() -> None:
    """Carry out runs, scoring jobs and simulations until asked to stop."""
    from risk_assessment.worker import check_before_start, dispatch_until_stopped  # noqa: PLC0415
    from service_kit.lifecycle import run_loop  # noqa: PLC0415

    settings = start_process(Settings, PACKAGE)
    with clear_errors(PACKAGE, KNOWN):
        check_before_start(settings)
    raise typer.Exit(run_loop(partial(dispatch_until_stopped, settings)))


@app.command()
def migrate(
    revision: Annotated[str, typer.Option(help="Up to which revision")] = "head",
    down: Annotated[
        str | None, typer.Option(help="Go down to this revision instead; `base` removes everything")
    ] = None,
    grant_to: GrantTo = None,
) -> None:
    """Bring the database's schema up to date."""
    settings = start_command(Settings, PACKAGE)
    with clear_errors(PACKAGE, KNOWN):
        migrate_database(settings.risk_database_url, PACKAGE, revision, down, grant_to)
    typer.echo(f"risk database is at {down or revision}")


@contextmanager
def _database() -> Iterator[Database]:
    settings = start_command(Settings, PACKAGE)
    with clear_errors(PACKAGE, KNOWN), opened(settings.risk_database_url) as database:
        yield database


add_debtor_commands(app)
add_hold_commands(app)
add_run_commands(app)
add_comparison_commands(app)
add_evidence_commands(app)
add_simulation_commands(app)
add_policy_commands(app)
add_key_commands(app, _database, api_keys, audit_records)

if __name__ == "__main__":
    main()
