"""`debt-processing`: the commands of the debt service; each translates its options and calls a room."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, NoReturn

import typer
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from debt_processing.clock import utc_now
from debt_processing.key_commands import add_key_commands
from debt_processing.schemas import RedriveRequest
from debt_processing.settings import Settings, WrongSettingError, read_settings
from debt_processing.tables import audit_records
from recovery_core.policy import Lane
from service_kit.audit import Audit, command_line
from service_kit.database import Database, describe_outage, is_unavailable
from service_kit.exposure import OpenDoorError
from service_kit.keys import KeyRefusedError
from service_kit.logs import configure
from service_kit.migrations import MigrationError, upgrade
from service_kit.sqs import describe_sqs_outage, is_sqs_unavailable

app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="SmartRecover's debt service."
)
PACKAGE = "debt_processing"


def main() -> None:
    """Run a command; any error is one clear line and a non-zero exit."""
    app()


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (DEBT_HOST)")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on (DEBT_PORT)")] = None,
) -> None:
    """Serve the HTTP API until told to stop."""
    from debt_processing.app import create_app  # noqa: PLC0415 - the other commands start without it
    from service_kit.lifecycle import serve as serve_app  # noqa: PLC0415

    settings = _started()
    with _clear_errors():
        settings.refuse_open_doors(host or settings.debt_host)
    address = host or settings.debt_host, settings.debt_port if port is None else port
    raise typer.Exit(serve_app(create_app(settings), *address))


@app.command()
def consume() -> None:
    """Work batches from the queues until told to stop."""
    from debt_processing.consuming import consume_until_stopped  # noqa: PLC0415 - migrate starts without it
    from service_kit.lifecycle import run_loop  # noqa: PLC0415

    raise typer.Exit(run_loop(partial(consume_until_stopped, _started())))


@app.command()
def migrate(revision: Annotated[str, typer.Option(help="Up to which revision")] = "head") -> None:
    """Bring the database's schema up to date."""
    settings = _started()
    with _clear_errors():
        upgrade(settings.debt_database_url, PACKAGE, revision)
    typer.echo(f"debt database is at {revision}")


@app.command()
def redrive(
    lane: Annotated[Lane | None, typer.Option(help="Only this lane")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="At most so many")] = 1_000,
) -> None:
    """Send dead letters back to their lane's queue, to be worked again."""
    from debt_processing.redriving import redrive_once  # noqa: PLC0415 - migrate starts without it

    settings = _started()
    request = RedriveRequest(lane=lane, limit=limit)
    with _opened(settings) as database:
        done = asyncio.run(redrive_once(settings, database, request, Audit(audit_records, command_line(), utc_now())))
    typer.echo(f"redriven {done.redriven} ({', '.join(f'{name} {count}' for name, count in done.lanes.items())})")
    if done.failed:
        _fail(f"{done.failed} messages were refused by the queue and stay among the dead letters")


def _started() -> Settings:
    with _clear_errors():
        settings = read_settings()
    configure("debt-processing", settings.recovery_log_level)
    return settings


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn what can go wrong into one line and a non-zero exit."""
    try:
        yield
    except (WrongSettingError, OpenDoorError) as error:
        _fail(str(error), code=2)
    except KeyboardInterrupt:
        _fail("interrupted", code=130)
    except Exception as error:
        _fail(explain(error))


def explain(error: Exception) -> str:
    """One line that says what is wrong, without SQL or addresses."""
    if is_unavailable(error):
        return describe_outage(error)
    if is_sqs_unavailable(error):
        return describe_sqs_outage(error)
    if isinstance(error, MigrationError | KeyRefusedError):
        return " ".join(str(error).split())
    if isinstance(error, OperationalError | ProgrammingError):
        return "the database's schema is not the one of this version: run `debt-processing migrate`"
    kind = type(error).__name__
    return f"unexpected {kind}" if isinstance(error, SQLAlchemyError) else f"unexpected {kind}: {error}"


def _fail(text: str, code: int = 1) -> NoReturn:
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)


@contextmanager
def _opened(settings: Settings) -> Iterator[Database]:
    with _clear_errors():
        database = Database(settings.debt_database_url)
        yield database
        database.dispose()


add_key_commands(app, lambda: _opened(_started()))

if __name__ == "__main__":
    main()
