"""`process-debtors`: a client of both APIs that previews, starts and follows a run."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import debtor_rows, every_row, generate_debtors
from tests.risk_assessment.commands import Done, run, run_child, the_error
from tests.risk_assessment.debt_service import DebtService
from tests.risk_assessment.dispatching import Dispatching, dispatcher_settings
from tests.risk_assessment.planned import run_view
from tests.risk_assessment.responses import shown
from tests.support.processes import free_port


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--no-wait",)])
def test_an_api_that_is_away_is_reported(options: tuple[str, ...]) -> None:
    url = f"http://127.0.0.1:{free_port()}"

    error = the_error(run("process-debtors", *options, RISK_API_URL=url))

    assert error.startswith(f"cannot reach {url}")


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


def test_a_dry_run_as_json_shows_as_many_as_asked_for(risk: Api) -> None:
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


def test_a_run_may_have_room_for_some_actions_only(risk: Api) -> None:
    room = ("--capacity", "LEGAL_REVIEW:0", "--capacity", "AGENT_CALL:2")

    shown_first = json.loads(process(risk, "--dry-run", "--json", *room).out)
    run_made = json.loads(process(risk, "--no-wait", "--json", *room).out)

    assert shown_first["capacities"] == run_made["capacities"] == {"AGENT_CALL": 2, "LEGAL_REVIEW": 0}
    assert shown_first["excluded"]["CAPACITY_AGENT_CALL"] > 0


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--capacity", "CALL_MUM:1"), "'CALL_MUM' is no action"),
        (("--dry-run", "--capacity", "AGENT_CALL"), "whole number"),
        (("--capacity", "AGENT_CALL:1", "--capacity", "AGENT_CALL:2"), "given twice"),
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
def test_what_the_api_refuses_is_reported_in_one_line(risk: Api, options: tuple[str, ...], reason: str) -> None:
    assert reason in the_error(process(risk, *options))


class ReportingApi(BaseHTTPRequestHandler):
    """A debt API that responds to every request with the same report."""

    def do_GET(self) -> None:
        body = json.dumps(
            {
                "run_id": self.path.rpartition("/")[2],
                "state": "completed",
                "debtors_total": 36,
                "debtors_processed": 36,
                "succeeded": 32,
                "failed": 1,
                "skipped": 3,
                "skip_reasons": {"HOLD_DISPUTE": 1, "PAID": 2},
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

    assert said.code == 0, said.err
    assert "completed" in said.out
    assert "36 of 36" in said.out
    assert "skipped       3 (HOLD_DISPUTE 1, PAID 2)" in said.out
    assert "it [b]broke[/b]" in said.out
    assert json.loads(as_json.out)["debtors_processed"] == 36


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--no-wait",)])
def test_a_misspelt_portfolio_is_reported_by_name(risk: Api, options: tuple[str, ...]) -> None:
    error = the_error(process(risk, "--portfolio", "defualt", *options))

    assert error.endswith("answered 404: portfolio: there is no such portfolio")


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
