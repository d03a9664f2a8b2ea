"""The main job end to end, over real HTTP, queues and processes: a portfolio in, a ranked and processed run out."""

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import pytest
from tests.faults.accounts import Accounts
from tests.journey.oracle import Expected, Oracle, manifest_hash, order_hash
from tests.support.faults.crashing import Fault
from tests.support.system.system import System

Build = Callable[..., System]

DEBTORS = 3_000
BATCH_SIZE = 150
THRESHOLD = "750000.00"
CSV_FILE = """external_ref,name,total_debt_amount,monthly_income,late_payments_count,employment_status,contract_type,\
industry_sector,payment_status
A-1,Ann One,12000.50,1500.00,3,EMPLOYED,PERMANENT,RETAIL,UNPAID
A-2,Bob Two,90000.00,0.00,9,UNEMPLOYED,FREELANCE,CONSTRUCTION,PARTIAL
A-3,Cy Three,50.00,4000.00,0,GOVERNMENT_EMPLOYED,PERMANENT,GOVERNMENT,PAID
A-4,Dee Four,much,4000.00,0,EMPLOYED,PERMANENT,GOVERNMENT,UNPAID
"""


@dataclass
class Journey:
    """A system whose portfolio was processed once by `process-debtors`."""

    accounts: Accounts
    said: str
    run: dict[str, Any]
    report: dict[str, Any]
    expected: list[Expected] = field(default_factory=list)

    @property
    def system(self) -> System:
        return self.accounts.system


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def journey(request: pytest.FixtureRequest, build: Build) -> Iterator[Journey]:
    system = build(request.param, 0)
    accounts = Accounts(system)
    accounts.heal()
    made = system.run_command("risk_assessment", "generate-debtors", "--count", str(DEBTORS), "--seed", "7")
    assert (made.code, "created 3000" in made.out) == (0, True), made
    arguments = ("--batch-size", str(BATCH_SIZE), "--threshold", THRESHOLD)
    done = system.run_command("risk_assessment", "process-debtors", *arguments)
    assert done.code == 0, done
    [run] = get(system, "risk", "/runs")["items"]
    expected = Oracle().order(all_pages(system, "risk", "/debtors"), BATCH_SIZE, THRESHOLD)
    yield Journey(accounts, done.out, run, system.report(run["id"]), expected)
    system.close()


def get(system: System, service: str, path: str, **parameters: Any) -> Any:
    base = system.risk_url if service == "risk" else system.debt_url
    response = system.http.get(f"{base}/{service}-service{path}", params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


def all_pages(system: System, service: str, path: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    cursor: dict[str, Any] = {}
    while True:
        page = get(system, service, path, limit=500, **cursor)
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = {"cursor": page["next_cursor"]}


def test_the_run_is_completed_and_its_accounts_balance(journey: Journey) -> None:
    ledger = journey.accounts.of_every_debtor(journey.run["id"])

    assert journey.run["state"] == "completed"
    assert ledger.is_balanced, ledger.table()
    assert ledger.decided == len(journey.expected)


def test_decisions_are_those_of_an_independent_computation_in_the_order_of_work(journey: Journey) -> None:
    decided = all_pages(journey.system, "debt", f"/runs/{journey.run['id']}/decisions")

    concluded = [
        Expected(
            d["debtor_id"],
            d["batch_sequence"],
            d["position"],
            d["lane"],
            Fraction(d["priority"]),
            d["total_score"],
            d["risk_level"],
            d["action"],
        )
        for d in decided
    ]
    assert concluded == journey.expected
    assert {d["run_id"] for d in decided} == {journey.run["id"]}
    assert all(d["high_priority"] == (d["lane"] == "high") for d in decided)
    assert all(d["reasons"] for d in decided if d["risk_level"] == "CRITICAL")


def test_the_run_and_the_report_add_up(journey: Journey) -> None:
    run, report, expected = journey.run, journey.report, journey.expected
    high = sum(e.lane == "high" for e in expected)

    assert run["debtors_ranked"] == report["debtors_total"] == report["debtors_processed"] == len(expected)
    assert run["excluded"] == {"PAID": DEBTORS - len(expected)}
    assert run["debtors_high"] == report["high_priority"] == high
    assert run["batches_total"] == run["batches_sent"] == run["batches_done"] == expected[-1].batch_sequence
    assert report["batches_total"] == report["batches_processed"] == run["batches_total"]
    assert (report["succeeded"], report["failed"], report["first_errors"]) == (len(expected), 0, [])
    assert report["actions"] == dict(sorted(Counter(e.action for e in expected).items()))
    assert report["levels"] == Counter(e.risk_level for e in expected)
    assert report["state"] == "completed"
    assert report["started_at"] <= report["finished_at"]
    manifest = get(journey.system, "risk", f"/runs/{run['id']}/manifest")
    assert run["manifest_hash"] == manifest["manifest_hash"] == manifest_hash(manifest)
    for lane, shown in manifest["lanes"].items():
        assert shown["order_hash"] == order_hash(e for e in expected if e.lane == lane)


def test_the_command_followed_the_run_to_its_report(journey: Journey) -> None:
    assert journey.run["id"] in journey.said
    assert "completed" in journey.said
    assert f"{len(journey.expected):,} of {len(journey.expected):,}" in journey.said


def test_decisions_are_available_as_csv_and_ndjson(journey: Journey) -> None:
    url = f"{journey.system.debt_url}/debt-service/runs/{journey.run['id']}/decisions"
    as_lines = journey.system.http.get(url, headers={"Accept": "application/x-ndjson"})
    as_table = journey.system.http.get(url, headers={"Accept": "text/csv"})

    lines = [json.loads(line) for line in as_lines.text.splitlines()]
    rows = list(csv.DictReader(io.StringIO(as_table.text)))
    assert [line["debtor_id"] for line in lines] == [e.debtor_id for e in journey.expected]
    assert [(int(row["debtor_id"]), row["action"]) for row in rows] == [
        (e.debtor_id, e.action) for e in journey.expected
    ]


def test_a_debtor_knows_its_decision(journey: Journey) -> None:
    first = journey.expected[0]

    [decision] = get(journey.system, "debt", f"/debtors/{first.debtor_id}/decisions")["items"]

    assert (decision["run_id"], decision["action"]) == (journey.run["id"], first.action)


def test_a_dry_run_shows_the_best_and_writes_nothing(journey: Journey) -> None:
    system = journey.system
    before = get(system, "risk", "/runs")

    arguments = ("--dry-run", "--top-k", "12", "--threshold", THRESHOLD)
    for_programs = system.run_command("risk_assessment", "process-debtors", *arguments, "--json")
    for_people = system.run_command("risk_assessment", "process-debtors", *arguments)

    assert (for_programs.code, for_people.code) == (0, 0)
    shown = json.loads(for_programs.out)
    assert [line["debtor_id"] for line in shown["top"]] == [e.debtor_id for e in journey.expected[:12]]
    high = sum(e.lane == "high" for e in journey.expected)
    assert shown["lanes"] == {"high": high, "standard": len(journey.expected) - high}
    assert shown["ranked"] == len(journey.expected)
    assert "nothing was written" in for_people.out
    assert get(system, "risk", "/runs") == before
    assert all(journey.accounts.queues.is_empty(role) for role in ("high", "standard", "results"))


def test_the_same_snapshot_has_the_same_manifest_and_the_same_decisions(journey: Journey) -> None:
    arguments = ("--batch-size", str(BATCH_SIZE), "--threshold", THRESHOLD, "--json")
    done = journey.system.run_command("risk_assessment", "process-debtors", *arguments)

    assert done.code == 0, done
    report = json.loads(done.out)
    second = journey.system.run(report["run_id"])
    assert second["id"] != journey.run["id"]
    assert second["manifest_hash"] == journey.run["manifest_hash"]
    ours, theirs = ("id", "created_at", "as_of", "planned_at", "published_at", "completed_at", "number"), second
    assert {k: v for k, v in theirs.items() if k not in ours} == {k: v for k, v in journey.run.items() if k not in ours}
    assert report["actions"] == journey.report["actions"]


def test_a_run_is_only_started_when_the_caller_does_not_wait(journey: Journey) -> None:
    done = journey.system.run_command("risk_assessment", "process-debtors", "--no-wait", "--limit", "20")

    assert done.code == 0, done
    run_id = next(word for word in done.out.split() if len(word) == 36)
    run = journey.system.wait_until_over(run_id)
    assert (run["state"], run["debtors_ranked"]) == ("completed", 20)
    assert run["excluded"]["LIMIT"] == len(journey.expected) - 20


def test_an_imported_file_is_processed_and_its_bad_row_reported(journey: Journey) -> None:
    system = journey.system
    (system.folder / "accounts.csv").write_text(CSV_FILE)
    arguments = ("import-debtors", "accounts.csv", "--portfolio", "imported", "--json")
    imported = json.loads(system.run_command("risk_assessment", *arguments).out)
    again = json.loads(system.run_command("risk_assessment", *arguments).out)

    assert (imported["rows"], imported["created"], imported["rejected"]) == (4, 3, 1)
    assert (again["created"], again["unchanged"]) == (0, 3)
    assert "total_debt_amount" in (system.folder / "accounts.rejects.csv").read_text()
    run_id = journey.accounts.start_run(portfolio="imported")
    ledger = journey.accounts.balanced(run_id)
    assert ledger.decided == 2
    actions = [d["action"] for d in all_pages(system, "debt", f"/runs/{run_id}/decisions")]
    assert actions == ["LEGAL_REVIEW", "AGENT_CALL"]


def test_two_runs_at_once_do_not_mix(journey: Journey) -> None:
    accounts = journey.accounts
    runs = [accounts.start_run(batch_size=size) for size in (100, 130)]

    for run_id in runs:
        assert accounts.balanced(run_id).decided == len(journey.expected)


def test_a_cancelled_run_ends_where_it_was(journey: Journey) -> None:
    accounts, system = journey.accounts, journey.system
    system.processes["consumer"].faults.arm(Fault("decide", do="sleep", seconds=0.15, times=10**9))
    run_id = accounts.start_run(batch_size=30)
    system.wait_for(lambda: system.run(run_id)["batches_done"] >= 3, 30, "the first batches done")

    response = system.http.post(f"{system.risk_url}/risk-service/runs/{run_id}/cancel")
    assert (response.status_code, response.json()["state"]) == (200, "cancelled")
    assert system.http.post(f"{system.risk_url}/risk-service/runs/{run_id}/cancel").status_code == 200
    system.processes["consumer"].faults.disarm()

    def settled() -> dict[str, Any] | None:
        run = system.run(run_id)
        ended = run["batches_done"] + run["batches_cancelled"] == run["batches_total"]
        return run if ended and system.report(run_id)["batches_processed"] == run["batches_done"] else None

    run = system.wait_for(settled, 30, "every batch done or cancelled, and all work reported") or {}
    assert run["state"] == "cancelled"
    assert 3 <= run["batches_done"] < run["batches_total"]
    ledger = accounts.of(run_id)
    assert (ledger.duplicated, ledger.unexpected) == (0, 0)


def test_a_run_cancelled_while_it_is_planned_leaves_nothing_open(journey: Journey) -> None:
    accounts, system = journey.accounts, journey.system
    faults = system.processes["dispatcher"].faults
    faults.arm(Fault("plan.between", "before", do="sleep", seconds=1.0, nth=2))
    run_id = accounts.start_run(batch_size=10)
    system.wait_for(faults.happened, 20, "a dispatcher amid its plan")

    assert system.http.post(f"{system.risk_url}/risk-service/runs/{run_id}/cancel").status_code == 200
    second = accounts.start_run(batch_size=500)
    accounts.balanced(second)

    ledger, run = accounts.of(run_id), system.run(run_id)
    assert run["state"] == "cancelled"
    assert (ledger.decided, ledger.open_batches) == (0, 0)


def test_a_run_without_anyone_to_process_is_completed_at_once(journey: Journey) -> None:
    journey.accounts.add_paid_portfolio("paid")
    run = journey.system.wait_until_over(journey.accounts.start_run(portfolio="paid"))

    assert (run["state"], run["debtors_ranked"], run["batches_total"], run["error"]) == ("completed", 0, 0, None)
