"""What the command lines of all services share: one clear line for every error, progress, JSON, migrations, API keys.

Errors exit with 1, wrong settings and options with 2, an interruption with 130.
"""

import getpass
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Annotated, NoReturn, Protocol, TypeVar

import orjson
import typer
from rich.console import Console
from rich.progress import Progress
from sqlalchemy import Table
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from service_kit.audit import COMPLETED, MAX_ACTOR_CHARS, RECORDS, Audit, Caller
from service_kit.auth import keys
from service_kit.auth.identity import Role
from service_kit.clock import utc_now
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.database.engine import Database
from service_kit.database.grants import grant_use
from service_kit.database.migrations import MigrationError, downgrade, upgrade
from service_kit.database.outages import describe_refusal, is_old_schema, is_unavailable
from service_kit.observability.logs import configure
from service_kit.private_files import keep_files_private
from service_kit.settings import OpenDoorError, ProcessSettings, WrongSettingError, read_settings
from service_kit.worker.dependencies import explain_outage

S = TypeVar("S", bound=ProcessSettings)

Opened = Callable[[], AbstractContextManager[Database]]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON")]
GrantTo = Annotated[
    str | None,
    typer.Option(help="Then let this MySQL account, which the service uses, work with the tables and not alter them"),
]

PARTLY_IMPORTED = 3
"""The exit code when rows were rejected and others came in."""
NOT_IMPORTED = 4
"""The exit code when the file or its mapping was refused, or every row was rejected."""

ListenFd = Annotated[int | None, typer.Option(hidden=True, help="The socket that a worker shares, as it inherited it")]


def command_app(help_text: str) -> typer.Typer:
    """Return the app to which a service adds its commands."""
    return typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=help_text)


def start_process(kind: type[S], package: str, listens_on: str | None = None, **given: object) -> S:
    """Read the settings of a process and configure its logs; a wrong setting ends it with a line that names it.

    From now on its files are for their owner alone. `listens_on` names the setting of an API's address.
    """
    keep_files_private()
    with clear_errors(package):
        settings = read_settings(kind, **given)
        settings.refuse_open_doors(None if listens_on is None else getattr(settings, listens_on))
    configure(package.replace("_", "-"), settings.recovery_log_level)
    return settings


def start_command(kind: type[S], package: str) -> S:
    """Read the settings of a command, as `start_process` does; its output is for people, so it logs warnings only."""
    keep_files_private()
    with clear_errors(package):
        settings = read_settings(kind)
    configure(package.replace("_", "-"), "warning")
    return settings


@contextmanager
def clear_errors(package: str, known: tuple[type[Exception], ...] = ()) -> Iterator[None]:
    """Turn an error into one line and a non-zero exit; the text of a `known` error is shown as it is."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except (WrongSettingError, OpenDoorError) as error:
        fail(str(error), code=2)
    except KeyboardInterrupt:
        fail("interrupted", code=130)
    except Exception as error:
        fail(explain(error, package, known))


def explain(error: Exception, package: str, known: tuple[type[Exception], ...] = ()) -> str:
    """Return one line that says what is wrong, without SQL, addresses or personal values."""
    if isinstance(error, (*known, ValueError)):
        return " ".join(str(error).split())
    if outage := explain_outage(error):
        return outage
    if is_old_schema(error):
        command = f"{package.replace('_', '-')} migrate"
        return f"the database's schema is not the one of this version: run `{command}`"
    if isinstance(error, DBAPIError):
        return describe_refusal(error)
    if isinstance(error, OSError):
        return f"{error.filename or ''}: {error.strerror or error}".lstrip(": ")
    kind = type(error).__name__
    return f"unexpected {kind}" if isinstance(error, SQLAlchemyError) else f"unexpected {kind}: {error}"


def fail(text: str, code: int = 1) -> NoReturn:
    """End the command with one line on standard error."""
    typer.echo(f"error: {text}", err=True)
    raise typer.Exit(code)


class ImportReport(Protocol):
    """What became of the rows of a file."""

    rejected: int

    @property
    def imported_nothing(self) -> bool:
        """Whether rows were rejected, and no other row came in."""

    def as_dict(self) -> dict[str, object]:
        """Return the report by name."""


@contextmanager
def import_refusals() -> Iterator[None]:
    """End the command with one line when its file cannot be imported at all."""
    try:
        yield
    except ImportRefusedError as error:
        fail(" ".join(str(error).split()), code=NOT_IMPORTED)


def finish_import(report: ImportReport, as_json: bool) -> None:
    """Print what an import did. Its exit code says whether rows were rejected, and whether any came in."""
    counted = report.as_dict()
    print_json(counted) if as_json else typer.echo(counts_as_text(counted))
    if report.rejected:
        raise typer.Exit(NOT_IMPORTED if report.imported_nothing else PARTLY_IMPORTED)


def counts_as_text(counted: Mapping[str, object]) -> str:
    """Return counts as a sentence, without those that are None."""
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in counted.items() if value is not None)


def print_json(content: object) -> None:
    """Print a value as indented JSON."""
    typer.echo(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())


@contextmanager
def progress_bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Show a bar on a terminal, nothing elsewhere; call what is yielded with how much more is done."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(what, total=total)
        yield lambda more: progress.advance(task, more)


@contextmanager
def opened(url: str | URL) -> Iterator[Database]:
    """Open a database for one command."""
    database = Database(url)
    try:
        yield database
    finally:
        database.dispose()


def audit_of_command(records: Table) -> Audit:
    """Return the audit of a command that begins now."""
    return Audit(records, command_line_caller(), utc_now())


def command_line_caller() -> Caller:
    """Return the person at the command line, who has the database's own credentials and so may do everything."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # in a container, a user id often has no name
        user = f"uid-{os.getuid()}"
    return Caller(f"cli:{user}"[:MAX_ACTOR_CHARS], Role.ADMIN)


def migrate(url: str | URL, package: str, revision: str, down: str | None, grant_to: str | None = None) -> None:
    """Bring a database's schema up to `revision`, or `down` to another one; `base` removes everything.

    Then the account `grant_to` may use the tables; audit records it may only add.
    """
    try:
        if down is not None:
            downgrade(url, package, down)
        else:
            upgrade(url, package, revision)
    except DBAPIError as error:
        if is_unavailable(error):
            raise
        raise MigrationError(describe_refusal(error)) from error
    if grant_to is not None:
        grant_use(url, grant_to, {RECORDS: COMPLETED})


def add_key_commands(app: typer.Typer, opened: Opened, api_keys: Table, audit_records: Table) -> None:
    """Add the commands; `opened` opens the database and turns errors into one line."""

    @app.command()
    def create_key(
        name: Annotated[str, typer.Option(help="Its name, in the list of keys and in audit records")],
        role: Annotated[str, typer.Option(help="viewer, operator, approver or admin")],
        from_stdin: Annotated[
            bool, typer.Option("--stdin", help="Accept a key made before, so that one key opens both services")
        ] = False,
        portfolio: Annotated[
            list[str] | None, typer.Option(help="Bind it to this portfolio; repeat for several. Without: all of them")
        ] = None,
    ) -> None:
        """Make an API key and print it. Only its hash is stored, so it is shown this once."""
        with opened() as database:
            token = sys.stdin.readline().strip() if from_stdin else keys.new_token()
            keys.issue(database, api_keys, audit_of_command(audit_records), name, role, token, portfolio or ())
        if not from_stdin:
            typer.echo(token)

    @app.command()
    def list_keys(as_json: AsJson = False) -> None:
        """List the keys and their roles, revoked ones too."""
        with opened() as database:
            found = keys.list_keys(database, api_keys)
        if as_json:
            print_json(found)
        for key in () if as_json else found:
            state = f"revoked {key['revoked_at']:%Y-%m-%d %H:%M}" if key["revoked_at"] else "valid"
            only = f"  only {', '.join(key['portfolios'])}" if key["portfolios"] else ""
            made = f"{key['created_at']:%Y-%m-%d %H:%M}"
            typer.echo(f"{key['id']}  {key['role']:8}  {made}  {state:24}  {key['name']}{only}")

    @app.command()
    def revoke_key(id_or_name: Annotated[str, typer.Argument(help="Id or name of the key")]) -> None:
        """Revoke a key. Running processes notice within a few seconds."""
        with opened() as database:
            name = keys.revoke(database, api_keys, audit_of_command(audit_records), id_or_name)
        typer.echo(f"key {name} is revoked")


def aligned(rows: Sequence[Sequence[str]], alignments: str) -> Iterator[str]:
    """Yield rows as lines with aligned columns; each column is aligned by `<` or `>`."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, alignments, widths, strict=True)
        yield "  ".join(f"{cell:{side}{width}}" for cell, side, width in cells).rstrip()
