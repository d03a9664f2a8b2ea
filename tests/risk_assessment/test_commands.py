"""The commands: each does what it says, and says in one line what is wrong."""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import inspect
from tests.risk_assessment import independent
from tests.risk_assessment.answers import shown
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import accept_run, add_debtor, debtor_rows, every_row, generate_debtors
from tests.risk_assessment.commands import Done, run, run_child, the_error
from tests.risk_assessment.dispatching import DebtService, Dispatching, dispatcher_settings
from tests.risk_assessment.planned import run_view
from tests.support.processes import free_port

from risk_assessment.debtors.generating import Distribution
from risk_assessment.tables import metadata
from service_kit.database.engine import Database

COMMANDS = (
    "serve",
    "dispatch",
    "migrate",
    "process-debtors",
    "generate-debtors",
    "import-debtors",
    "create-key",
    "list-keys",
    "revoke-key",
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def env(sqlite: Database) -> dict[str, str]:
    return {"RISK_DATABASE_URL": str(sqlite.engine.url)}


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


def generate(env: dict[str, str], *options: object) -> dict[str, Any]:
    done = run("generate-debtors", "--json", *options, **env)
    assert done.code == 0, done.err
    report: dict[str, Any] = json.loads(done.out)
    return report


def facts(database: Database, portfolio: str) -> list[dict[str, Any]]:
    """What is the same whenever and wherever a portfolio is made."""
    changing = {"id", "portfolio", "assessed_at", "created_at", "updated_at"}
    return [{k: v for k, v in row.items() if k not in changing} for row in debtor_rows(database, portfolio)]


def test_the_same_seed_gives_the_same_portfolio(sqlite: Database, env: dict[str, str]) -> None:
    assert generate(env, "--count", 300, "--seed", 7)["created"] == 300
    generate(env, "--count", 300, "--seed", 7, "--portfolio", "again")
    generate(env, "--count", 300, "--seed", 8, "--portfolio", "other")

    assert facts(sqlite, "default") == facts(sqlite, "again")
    assert facts(sqlite, "default") != facts(sqlite, "other")
    assert generate(env, "--count", 300, "--seed", 7) | {"created": 0, "unchanged": 300} == generate(
        env, "--count", 300, "--seed", 7
    )


def test_the_smaller_portfolio_is_the_beginning_of_the_larger(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 50)
    generate(env, "--count", 80, "--portfolio", "larger")

    assert facts(sqlite, "larger")[:50] == facts(sqlite, "default")


def test_clear_deletes_the_portfolio_first_and_no_other(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 50)
    other = add_debtor(sqlite, portfolio="other")
    add_debtor(sqlite)

    report = generate(env, "--count", 20, "--clear")

    assert (report["cleared"], report["created"]) == (51, 20)
    assert len(debtor_rows(sqlite, "default")) == 20
    assert [row["id"] for row in debtor_rows(sqlite, "other")] == [other]


def test_a_portfolio_that_a_run_is_about_is_not_cleared(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 20)
    accept_run(sqlite)

    assert "'default' is under way" in the_error(run("generate-debtors", "--count", "5", "--clear", **env))

    assert len(debtor_rows(sqlite, "default")) == 20


def test_distributions_differ_in_risk(sqlite: Database, env: dict[str, str]) -> None:
    shares = {}
    for kind in Distribution:
        generate(env, "--count", 400, "--distribution", kind, "--portfolio", kind)
        rows = debtor_rows(sqlite, kind)
        levels = Counter(row["risk_level"] for row in rows)
        shares[kind] = (levels["HIGH"] + levels["CRITICAL"]) / len(rows)
        assert {row["payment_status"] for row in rows} == {"UNPAID", "PARTIAL", "PAID"}

    assert shares[Distribution.LOW_RISK] < 0.1 < shares[Distribution.BALANCED] < 0.5 < shares[Distribution.HIGH_RISK]


def test_generated_debtors_are_scored_like_all_others(sqlite: Database, env: dict[str, str]) -> None:
    generate(env, "--count", 200)

    for row in debtor_rows(sqlite):
        assert row["total_score"] == independent.score(row)
        assert row["priority"] == independent.priority(row)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--distribution", "sad"), "balanced, high-risk, low-risk"),
        (("--portfolio", "a b"), "portfolio: "),
    ],
)
def test_a_bad_option_is_told_in_one_line(env: dict[str, str], options: tuple[str, ...], told: str) -> None:
    assert told in the_error(run("generate-debtors", *options, **env))


@pytest.mark.parametrize("options", [("--count", "0"), ("--count", "many"), ("--seed", "1.5"), ("--nonsense",)])
def test_a_wrong_usage_exits_with_2(env: dict[str, str], options: tuple[str, ...]) -> None:
    done = run("generate-debtors", *options, **env)

    assert done.code == 2
    assert "Traceback" not in done.err


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
        told = the_error(done)
        assert "RISK_POLICY" in told
        assert "classic" in told


def test_a_policy_folder_that_is_not_there_is_named(env: dict[str, str]) -> None:
    assert "RISK_POLICY_DIR" in the_error(run("generate-debtors", RISK_POLICY_DIR="nowhere", **env))


def test_a_broken_policy_file_stops_a_command_and_is_named(env: dict[str, str], folder: Path) -> None:
    (folder / "mine.json").write_text("{")

    assert "mine.json" in the_error(run("generate-debtors", RISK_POLICY_DIR=str(folder), **env))


def test_an_open_door_is_refused(env: dict[str, str], folder: Path) -> None:
    assert "RECOVERY_AUTH" in the_error(run_child(folder, "serve", "--host", "0.0.0.0", **env))


@pytest.mark.parametrize(
    "command", [("generate-debtors", "--count", "5"), ("import-debtors", "file.csv"), ("list-keys",)]
)
def test_a_database_that_was_never_migrated_is_told(folder: Path, command: tuple[str, ...]) -> None:
    (folder / "file.csv").write_text("a\n")

    told = the_error(run(*command, RISK_DATABASE_URL="sqlite:///empty.db"))

    assert "risk-assessment migrate" in told


def test_a_dispatcher_says_that_the_database_was_never_migrated(folder: Path) -> None:
    done = run_child(folder, "dispatch", RISK_DATABASE_URL="sqlite:///empty.db")

    assert "risk-assessment migrate" in the_error(done)


@pytest.mark.parametrize("command", [("migrate",), ("generate-debtors", "--count", "5")])
def test_a_database_that_is_away_is_told(command: tuple[str, ...]) -> None:
    url = f"mysql+pymysql://user:secret@127.0.0.1:{free_port()}/risk"

    assert the_error(run(*command, RISK_DATABASE_URL=url)) == "the database cannot be reached"


# process-debtors: a client of both APIs


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--no-wait",)])
def test_an_api_that_is_away_is_told(options: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    told = the_error(run("process-debtors", *options, RISK_API_URL=url))

    assert told.startswith(f"cannot reach {url}")


@pytest.fixture(scope="module")
def module_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="module")
def risk(module_folder: Path, migrated_sqlite_file: Path, sqs_url: str) -> Iterator[Api]:
    """An API for these tests alone, with 40 debtors."""
    file = module_folder / "risk.db"
    file.write_bytes(migrated_sqlite_file.read_bytes())
    with serving(module_folder, f"sqlite:///{file}", sqs_url) as api:
        generate_debtors(api.database, 40)
        yield api


def process(risk: Api, *options: object, **env: str) -> Done:
    return run("process-debtors", *options, RISK_API_URL=f"{risk.url}/", **env)


def test_a_dry_run_shows_who_comes_first_and_writes_nothing(risk: Api, folder: Path) -> None:
    ranking = independent.ranking(debtor_rows(risk.database))
    before = {name: rows for name, rows in every_row(risk.database).items() if name != "audit_records"}

    done = run_child(folder, "process-debtors", "--dry-run", "--threshold", "2000000", RISK_API_URL=risk.url)

    assert (done.code, done.err) == (0, "")
    lines = [line.split() for line in done.out.splitlines() if re.match(r"\s*\d+\s", line)]
    assert [int(line[1]) for line in lines] == [one for _, one in ranking[:10]]
    assert {name: rows for name, rows in every_row(risk.database).items() if name != "audit_records"} == before


def test_a_dry_run_as_json_shows_as_many_as_wished(risk: Api) -> None:
    done = process(risk, "--dry-run", "--json", "--top-k", 3, "--limit", 20, "--policy", "classic")

    found = json.loads(done.out)
    assert [line["rank"] for line in found["top"]] == [1, 2, 3]
    assert found["ranked"] == 20
    assert found["policy"]["name"] == "classic"


def test_a_run_may_be_started_and_left(risk: Api) -> None:
    done = process(risk, "--no-wait", "--json", "--batch-size", 7, "--threshold", "12.50", "--limit", 9)

    run_made = json.loads(done.out)
    assert done.code == 0
    assert (run_made["batch_size"], run_made["threshold"], run_made["limit"]) == (7, "12.50", 9)
    assert shown(risk.get(f"/runs/{run_made['id']}"))["state"] == "accepted"
    said = process(risk, "--no-wait").out
    assert re.fullmatch(r"run [0-9a-f-]{36} accepted\n", said)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--threshold", "much"), "threshold"),
        (("--threshold", "-1"), "threshold"),
        (("--batch-size", "0"), "batch_size"),
        (("--batch-size", "1001"), "batch_size"),
        (("--policy", "no-such-policy"), "classic"),
        (("--portfolio", "a b"), "portfolio"),
        (("--limit", "0"), "limit"),
        (("--dry-run", "--top-k", "0"), "top_k"),
        (("--dry-run", "--threshold", "much"), "threshold"),
    ],
)
def test_what_the_api_refuses_is_told_in_one_line(risk: Api, options: tuple[str, ...], told: str) -> None:
    assert told in the_error(process(risk, *options))


class ReportingApi(BaseHTTPRequestHandler):
    """A debt API that answers every report alike."""

    def do_GET(self) -> None:
        body = json.dumps(
            {
                "run_id": self.path.rpartition("/")[2],
                "state": "completed",
                "debtors_total": 36,
                "debtors_processed": 36,
                "succeeded": 35,
                "failed": 1,
                "high_priority": 5,
                "batches_total": 1,
                "batches_processed": 1,
                "processing_seconds": 1.5,
                "debtors_per_second": 24,
                "actions": {"AGENT_CALL": 35},
                "levels": {"HIGH": 35},
                "first_errors": [{"debtor_id": 7, "stage": "scoring", "error": "X", "detail": "it [b]broke[/b]"}],
            }
        ).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture(scope="module")
def debt_url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), ReportingApi) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_run_is_followed_to_its_report(risk: Api, debt_url: str, sqs_url: str, folder: Path) -> None:
    settings = dispatcher_settings(sqs_url)
    debt_service = DebtService(settings)

    with Dispatching(risk.database, settings), debt_service.working():
        said = process(risk, DEBT_API_URL=debt_url)
        urls = {"RISK_API_URL": risk.url, "DEBT_API_URL": debt_url}
        as_json = run_child(folder, "process-debtors", "--json", **urls)
        nobody = process(risk, "--portfolio", "nobody-here", DEBT_API_URL=debt_url)

    assert said.code == 0, said.err
    assert "completed" in said.out
    assert "36 of 36" in said.out
    assert "it [b]broke[/b]" in said.out
    assert json.loads(as_json.out)["debtors_processed"] == 36
    assert (nobody.code, "no debtors in portfolio nobody-here" in nobody.out) == (0, True)


def test_a_run_that_was_cancelled_is_no_success(risk: Api, debt_url: str) -> None:
    outcome: list[Done] = []
    follower = threading.Thread(target=lambda: outcome.append(process(risk, DEBT_API_URL=debt_url)))
    before = {run_made["id"] for run_made in shown(risk.get("/runs"))["items"]}
    follower.start()
    started: set[str] = set()
    while not started:
        started = {run_made["id"] for run_made in shown(risk.get("/runs"))["items"]} - before
    [run_id] = started

    risk.post(f"/runs/{run_id}/cancel")
    follower.join(30)

    assert run_view(risk.database, run_id)["state"] == "cancelled"
    assert outcome[0].code == 1
    assert "cancelled" in outcome[0].out
