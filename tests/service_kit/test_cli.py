"""Command lines: the caller in audit records, and one clear line for every error."""

import errno
import getpass
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, InvalidRequestError
from tests.support.guarded_api import api_keys, audit_records, metadata
from typer.testing import CliRunner

from service_kit import cli
from service_kit.audit import Caller
from service_kit.cli import clear_errors, command_line_caller, explain
from service_kit.database.engine import Database
from service_kit.database.migrations import MigrationError
from service_kit.settings import OpenDoorError, ServiceSettings, WrongSettingError
from service_kit.sqs.outages import QueueMissing
from service_kit.worker.dependencies import SchemaNotCurrent

PACKAGE = "demo_service"


class KnownError(Exception):
    """An error whose text is for the user."""


def test_the_caller_is_the_user_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")

    assert command_line_caller() == Caller("cli:ann", "admin")


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", fail)

    assert command_line_caller().actor.startswith("cli:uid-")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (KnownError("three\n  lines\n of text"), "three lines of text"),
        (ValueError("must not be blank"), "must not be blank"),
        (QueueMissing("work"), "queue work does not exist"),
        (SchemaNotCurrent(PACKAGE), "the schema is not current: run `demo-service migrate`"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.csv"), "x.csv: No such file or directory"),
        (OSError("disk"), "disk"),
        (KeyError("id"), "unexpected KeyError: 'id'"),
        (InvalidRequestError("SELECT secret"), "unexpected InvalidRequestError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_one_line(error: Exception, line: str) -> None:
    assert explain(error, PACKAGE, (KnownError,)) == line


def test_a_missing_table_is_a_schema_that_is_not_current(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(DBAPIError) as caught, database.read() as connection:
        connection.execute(text("SELECT secret FROM missing"))
    database.dispose()

    line = explain(caught.value, PACKAGE)

    assert line == "the database's schema is not the one of this version: run `demo-service migrate`"


def test_any_other_refused_statement_is_no_schema_that_is_not_current(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(DBAPIError) as caught, database.read() as connection:
        connection.execute(text("SELEKT 'secret'"))
    database.dispose()

    line = explain(caught.value, PACKAGE)

    assert line.startswith("the database refused a statement: ")
    assert "migrate" not in line


def test_a_migration_that_fails_says_what_was_refused(database_url: str) -> None:
    database = Database(database_url)
    with database.write() as connection:
        connection.execute(text("CREATE TABLE shelves (id INT)"))
    database.dispose()

    with pytest.raises(MigrationError, match=r"refused a statement: .able '?shelves'? already exists"):
        cli.migrate(database_url, "tests.support.demo_service", "head", None)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongSettingError("AWS_REGION: must not be empty"), 2),
        (OpenDoorError("RECOVERY_AUTH: off is for a loopback address only"), 2),
        (KnownError("no such run"), 1),
        (KeyboardInterrupt(), 130),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_ends_a_command_with_its_line_and_code(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, clear_errors(PACKAGE, (KnownError,)):
        raise error

    assert caught.value.exit_code == code
    assert capsys.readouterr().err == f"error: {error if str(error) else 'interrupted'}\n"


def test_an_exit_that_the_command_has_chosen_stays_as_it_is() -> None:
    with pytest.raises(typer.Exit) as caught, clear_errors(PACKAGE):
        raise typer.Exit(3)

    assert caught.value.exit_code == 3


@pytest.fixture
def configured(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[str, str]]:
    """Collect the log configurations, as (service, level)."""
    found: list[tuple[str, str]] = []
    monkeypatch.chdir(tmp_path)  # without a .env
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "http://127.0.0.1:9324")
    monkeypatch.setattr(cli, "configure", lambda service, level: found.append((service, level)))
    return found


def test_a_process_logs_at_its_level_and_a_command_logs_warnings(
    configured: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RECOVERY_LOG_LEVEL", "debug")

    cli.start_process(ServiceSettings, PACKAGE)
    cli.start_command(ServiceSettings, PACKAGE)

    assert configured == [("demo-service", "debug"), ("demo-service", "warning")]


@pytest.mark.usefixtures("configured")
def test_an_option_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-1")

    assert cli.start_process(ServiceSettings, PACKAGE, aws_region="eu-north-1").aws_region == "eu-north-1"
    assert cli.start_process(ServiceSettings, PACKAGE, aws_region=None).aws_region == "eu-west-1"


@pytest.mark.parametrize("start", [cli.start_process, cli.start_command])
def test_a_wrong_setting_ends_a_process_before_it_logs(
    configured: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    start: Callable[[type[ServiceSettings], str], ServiceSettings],
) -> None:
    monkeypatch.setenv("RECOVERY_MAX_RECEIVES", "1")

    with pytest.raises(typer.Exit) as caught:
        start(ServiceSettings, PACKAGE)

    assert caught.value.exit_code == 2
    assert capsys.readouterr().err.startswith("error: RECOVERY_MAX_RECEIVES: ")
    assert configured == []


@pytest.mark.usefixtures("configured")
@pytest.mark.parametrize("start", [cli.start_process, cli.start_command])
def test_what_a_process_creates_is_for_its_owner_alone(
    tmp_path: Path, start: Callable[[type[ServiceSettings], str], ServiceSettings]
) -> None:
    start(ServiceSettings, PACKAGE)
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()

    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600, 0o700}


def test_keys_are_created_listed_and_revoked(sqlite_url: str) -> None:
    with cli.opened(sqlite_url) as database:
        metadata.create_all(database.engine)
    app = cli.command_app("Keys")
    cli.add_key_commands(app, lambda: cli.opened(sqlite_url), api_keys, audit_records)
    run = CliRunner().invoke

    token = run(app, ["create-key", "--name", "nightly", "--role", "viewer"]).stdout.strip()
    listed = run(app, ["list-keys"]).stdout
    revoked = run(app, ["revoke-key", "nightly"]).stdout

    assert token.startswith("srk_")
    assert "viewer" in listed
    assert "valid" in listed
    assert token not in listed
    assert revoked == "key nightly is revoked\n"
    assert "revoked" in run(app, ["list-keys"]).stdout
