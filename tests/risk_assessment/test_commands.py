"""The commands: each explains itself, and says in one line what is wrong."""

from pathlib import Path

import pytest
from sqlalchemy import inspect
from tests.risk_assessment.commands import run, run_child, the_error
from tests.risk_assessment.debtors.csv_files import COLUMNS
from tests.support.processes import free_port

from risk_assessment.tables import metadata
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

COMMANDS = (
    "serve",
    "dispatch",
    "migrate",
    "process-debtors",
    "generate-debtors",
    "import-debtors",
    "policies",
    "create-key",
    "list-keys",
    "revoke-key",
)

LOCAL_SQS = {"AWS_ENDPOINT_URL_SQS": "http://127.0.0.1:9324"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(sqlite: Database) -> dict[str, str]:
    return {"RISK_DATABASE_URL": str(sqlite.engine.url)} | LOCAL_SQS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help")

    assert done.code == 0
    assert "Usage" in done.out


def test_the_program_lists_its_commands(folder: Path) -> None:
    done = run_child(folder, "--help")

    assert done.code == 0
    assert all(command in done.out for command in COMMANDS)


def test_migrate_brings_a_schema_up_and_down(folder: Path) -> None:
    env = {"RISK_DATABASE_URL": "sqlite:///new/risk.db"}

    up = run_child(folder, "migrate", **env)

    database = Database(f"sqlite:///{folder / 'new' / 'risk.db'}")
    assert (up.code, up.err) == (0, "")
    assert set(inspect(database.engine).get_table_names()) == {*metadata.tables, "alembic_version"}
    assert run("migrate", **env).code == 0
    assert run("migrate", "--down", "base", **env).code == 0
    database.dispose()
    assert inspect(database.engine).get_table_names() == ["alembic_version"]
    assert "no-such" in the_error(run("migrate", "--revision", "no-such", **env))
    database.dispose()


def test_the_database_of_the_other_service_is_refused_by_name(folder: Path) -> None:
    env = {"RISK_DATABASE_URL": "sqlite:///debt.db"} | LOCAL_SQS
    upgrade(f"sqlite:///{folder / 'debt.db'}", "debt_processing")

    for command in ("migrate", "dispatch"):
        assert "give each service a database of its own" in the_error(run(command, **env))


BAD_SETTINGS = [
    ("RISK_PORT", "99999"),
    ("RISK_PORT", "http"),
    ("RISK_MAX_OUTSTANDING", "-1"),
    ("RISK_RESEND_AFTER_SECONDS", "0"),
    ("RISK_RESEND_AFTER_SECONDS", "inf"),
    ("RISK_RESEND_AFTER_SECONDS", "nan"),
    ("RISK_RESEND_AFTER_SECONDS", "1e300"),
    ("RISK_RANK_SPILL_AFTER", "10"),
    ("RISK_DATABASE_URL", "postgresql://user:secret@host/name"),
    ("RISK_DATABASE_URL", "sqlite://"),
    ("RISK_DATABASE_URL", "nonsense"),
    ("AWS_ENDPOINT_URL_SQS", "nonsense"),
    ("AWS_ENDPOINT_URL_SQS", "http://"),
    ("AWS_REGION", "not a region"),
    ("RECOVERY_QUEUE_HIGH", "a b"),
    ("RECOVERY_QUEUE_RESULTS", ""),
    ("RECOVERY_VISIBILITY_SECONDS", "0"),
    ("RECOVERY_MAX_RECEIVES", "1"),
    ("RECOVERY_AUTH", "maybe"),
    ("RECOVERY_LOG_LEVEL", "loud"),
    ("RECOVERY_CREATE_QUEUES", "maybe"),
]


@pytest.mark.parametrize(("name", "value"), BAD_SETTINGS)
def test_a_wrong_setting_stops_every_command_and_is_named(name: str, value: str) -> None:
    for command in (("serve",), ("dispatch",), ("migrate",), ("generate-debtors",), ("process-debtors",)):
        done = run(*command, **{name: value})

        assert the_error(done).startswith(f"{name}: ")
        assert done.code == 2
        assert "secret" not in done.err


def test_an_unknown_policy_stops_a_command_and_is_named(env: dict[str, str], folder: Path) -> None:
    # Processes of their own, because they set up the logs of the whole process.
    for done in (
        run_child(folder, "serve", RISK_POLICY="no-such-policy", **env),
        run("generate-debtors", RISK_POLICY="no-such-policy", **env),
    ):
        error = the_error(done)
        assert "RISK_POLICY" in error
        assert "classic" in error


def test_a_policy_folder_that_is_not_there_is_named(env: dict[str, str]) -> None:
    assert "RISK_POLICY_DIR" in the_error(run("generate-debtors", RISK_POLICY_DIR="nowhere", **env))


def test_a_broken_policy_file_stops_a_command_and_is_named(env: dict[str, str], folder: Path) -> None:
    (folder / "mine.json").write_text("{")

    assert "mine.json" in the_error(run("generate-debtors", RISK_POLICY_DIR=str(folder), **env))


def test_an_open_door_is_refused(env: dict[str, str], folder: Path) -> None:
    assert "RECOVERY_AUTH" in the_error(run_child(folder, "serve", "--host", "0.0.0.0", **env))


@pytest.mark.parametrize("command", ["serve", "dispatch"])
@pytest.mark.parametrize("endpoint", ["", "http://sqs.example:9324"])
def test_queues_that_others_could_write_to_are_refused_without_keys(
    env: dict[str, str], folder: Path, command: str, endpoint: str
) -> None:
    done = run_child(folder, command, **env | {"AWS_ENDPOINT_URL_SQS": endpoint})

    assert the_error(done).startswith("RECOVERY_MESSAGE_KEYS: ")


@pytest.mark.parametrize(
    "command", [("generate-debtors", "--count", "5"), ("import-debtors", "file.csv"), ("list-keys",)]
)
def test_a_database_that_was_never_migrated_is_reported(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "file.csv").write_text(",".join(COLUMNS))

    error = the_error(run(*command, RISK_DATABASE_URL="sqlite:///empty.db"))

    assert "risk-assessment migrate" in error


def test_a_dispatcher_says_that_the_database_was_never_migrated(folder: Path) -> None:
    done = run_child(folder, "dispatch", RISK_DATABASE_URL="sqlite:///empty.db", **LOCAL_SQS)

    assert "risk-assessment migrate" in the_error(done)


@pytest.mark.parametrize("command", [("migrate",), ("generate-debtors", "--count", "5")])
def test_a_database_that_is_away_is_reported(command: tuple[str, ...]) -> None:
    url = f"mysql+pymysql://user:secret@127.0.0.1:{free_port()}/risk"

    assert the_error(run(*command, RISK_DATABASE_URL=url)) == "the database cannot be reached"
