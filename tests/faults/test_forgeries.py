"""Promise 14: what this system did not write changes nothing but a counter, a log line and a dead letter.

Without keys, as on a local stack, a forged batch may be worked. It cannot hide: no run is completed by it, and an
operator can put things right.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select
from tests.faults.accounts import Accounts
from tests.support.faults.forging import altered, forged_batch, forged_reports, header_of
from tests.support.system.system import System

from debt_processing.tables import decisions, runs
from risk_assessment.tables import run_batches
from risk_assessment.tables import runs as risk_runs

Whole = Callable[[str], Accounts]
Build = Callable[..., System]

LANES = ("high", "standard")
OLD, NEW = "old:the secret of last year", "new:" + "0123456789abcdef" * 4


def debtors_of(accounts: Accounts, run_id: str) -> dict[int, int]:
    """How many debtors each batch of a run has, by sequence."""
    with accounts.risk_database.read() as connection:
        number = select(risk_runs.c.number).where(risk_runs.c.id == run_id).scalar_subquery()
        statement = select(run_batches.c.sequence, run_batches.c.debtors).where(run_batches.c.run_number == number)
        return dict(connection.execute(statement).all())


def decided_runs(accounts: Accounts, debtor_id: int) -> set[str]:
    with accounts.debt_database.read() as connection:
        statement = select(runs.c.run_id).join(decisions, decisions.c.run_number == runs.c.number)
        return set(connection.execute(statement.where(decisions.c.debtor_id == debtor_id)).scalars())


def in_the_queues(accounts: Accounts, run_id: str) -> dict[str, list[str]]:
    """Stop the loops, and return the bodies of a published run by lane, taken out of the queues."""
    accounts.until_published(run_id)
    accounts.system.stop("dispatcher")
    return {lane: [message["Body"] for message in accounts.queues.drain(lane)] for lane in LANES}


def refused_reports(accounts: Accounts) -> list[dict[str, Any]]:
    return [json.loads(line) for line in accounts.system.events("dispatcher", '"risk.report.refused"')]


def redrive(accounts: Accounts, **request: Any) -> int:
    system = accounts.system
    response = system.http.post(f"{system.debt_url}/debt-service/dead-letters/redrive", json={"limit": 1000} | request)
    assert response.status_code == 200, response.text
    return int(response.json()["redriven"])


def empty(accounts: Accounts) -> None:
    for role in (*LANES, "results", "high-dlq", "standard-dlq", "results-dlq"):
        accounts.queues.drain(role)


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_forged_reports_complete_nothing_and_the_run_balances(whole: Whole, kind: str) -> None:
    accounts = whole(kind)
    empty(accounts)
    system = accounts.system
    system.stop("consumer")
    run_id = accounts.start_run(batch_size=100)
    accounts.until_published(run_id)
    debtors = debtors_of(accounts, run_id)
    before = len(refused_reports(accounts))

    forged = (
        forged_reports(run_id, debtors),
        forged_reports(run_id, dict.fromkeys(debtors, 0)),
        forged_reports(run_id, debtors, digest=None),
        forged_reports(run_id, debtors, batch_id="any"),
        forged_reports(run_id, {max(debtors) + 1: 1}),
        forged_reports("no-such-run", debtors),
        "no report",
    )
    accounts.queues.send("results", *forged)

    expected = 5 * len(debtors) + 2
    system.wait_for(lambda: len(refused_reports(accounts)) - before >= expected, 30, "all forged reports refused")
    reasons = {line["reason"] for line in refused_reports(accounts)[before:]}
    assert reasons == {"digest", "counts", "batch_id", "unknown_batch", "unknown_run", "unreadable"}
    run = system.run(run_id)
    assert (run["state"], run["batches_done"]) == ("published", 0)
    system.wait_for(lambda: accounts.queues.depth("results") == (0, 0), 20, "the forged reports deleted")
    copies = accounts.queues.drain("results-dlq")
    assert {copy["Body"] for copy in copies} == set(forged)
    assert all(copy["MessageAttributes"]["reason"]["StringValue"] in reasons for copy in copies)
    system.start("consumer")
    accounts.balanced(run_id)
    assert system.report(run_id)["state"] == "completed"


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
@pytest.mark.parametrize("described", ["otherwise", "alike"])
def test_a_forged_batch_that_comes_first_completes_nothing_and_a_repair_puts_it_right(
    whole: Whole, kind: str, described: str
) -> None:
    accounts = whole(kind)
    empty(accounts)
    system = accounts.system
    system.stop("consumer")
    run_id = accounts.start_run(batch_size=200)
    real = in_the_queues(accounts, run_id)
    changes = header_of(real["high"][0]) | ({"threshold": 1} if described == "otherwise" else {})
    victims = sorted(accounts.eligible())[:3]
    accounts.queues.send("high", forged_batch(run_id, 1, victims, **changes))
    system.start("consumer")
    system.wait_for(lambda: run_id in decided_runs(accounts, victims[0]), 20, "the forged batch recorded")

    for lane in LANES:
        accounts.queues.send(lane, *real[lane])
    system.start("dispatcher")

    run = system.wait_until_over(run_id)
    assert run["error"] is not None
    assert run["batches_dead"] > 0
    assert system.report(run_id)["state"] == "processing"
    assert redrive(accounts, repair=True) > 0
    system.wait_for(lambda: accounts.of(run_id).is_balanced, 30, "the run repaired", every=0.2)
    assert system.report(run_id)["state"] == "completed"
    assert system.run(run_id)["error"] is None


@pytest.fixture(scope="module", params=["sqlite", "mariadb"])
def authenticated(request: pytest.FixtureRequest, build: Build) -> Iterator[Accounts]:
    """A system whose messages are authenticated."""
    system = build(request.param, 1_500, RECOVERY_MESSAGE_KEYS=OLD)
    system.start()
    system.until_ready()
    yield Accounts(system)
    system.close()


def test_what_is_not_authenticated_changes_nothing(authenticated: Accounts) -> None:
    accounts = authenticated
    empty(accounts)
    system = accounts.system
    system.stop("consumer")
    run_id = accounts.start_run(batch_size=100)
    debtors = debtors_of(accounts, run_id) if accounts.until_published(run_id) else {}
    real = accounts.queues.take("high", hide=0, most=1)[0]["Body"]
    victims = sorted(accounts.eligible())[:2]
    forged = [
        forged_batch(run_id, 1, victims),
        forged_batch(run_id, 1, victims, **header_of(real)),
        forged_batch("a-run-that-never-was", 1, victims),
        altered(real, threshold="0.01"),
        "nothing readable",
    ]
    accounts.queues.send("high", *forged)
    accounts.queues.send("results", forged_reports(run_id, debtors), "nothing readable")

    system.start("consumer")

    accounts.balanced(run_id)
    assert system.report(run_id)["state"] == "completed"
    for victim in victims:
        assert "a-run-that-never-was" not in decided_runs(accounts, victim)
    system.wait_for(lambda: accounts.queues.depth("high-dlq")[0] == len(forged), 20, "the forged batches dead")
    letters = accounts.queues.drain("high-dlq")
    assert {letter["Body"] for letter in letters} == set(forged)
    reasons = {letter["MessageAttributes"]["reason"]["StringValue"] for letter in letters}
    assert reasons == {"not authentic: it has no MAC"}
    system.wait_for(lambda: accounts.queues.depth("results-dlq")[0] == 2, 20, "the forged reports dead")


def test_an_operator_cannot_vouch_for_what_is_not_authenticated(authenticated: Accounts) -> None:
    accounts = authenticated
    empty(accounts)
    victim = min(accounts.eligible())
    accounts.queues.send("high", forged_batch("a-run-that-never-was", 1, [victim]))
    accounts.system.wait_for(lambda: accounts.queues.depth("high-dlq")[0] == 1, 20, "the forged batch dead")

    assert redrive(accounts, repair=True) == 1

    refused = lambda: accounts.system.events("consumer", '"debt.message.unauthentic"')  # noqa: E731
    accounts.system.wait_for(lambda: accounts.queues.depth("high-dlq")[0] == 1, 20, "it dead again")
    assert len(refused()) >= 2
    assert "a-run-that-never-was" not in decided_runs(accounts, victim)


def test_keys_are_rotated_under_a_run_without_a_message_refused(authenticated: Accounts) -> None:
    accounts = authenticated
    empty(accounts)
    system = accounts.system
    before = {name: len(system.events(name, "unauthentic")) for name in ("dispatcher", "consumer")}
    system.stop("consumer")
    run_id = accounts.start_run(batch_size=100)
    accounts.until_published(run_id)

    # First every process learns to verify the new key, then to sign with it, and then to forget the old one.
    for keys in (f"{OLD},{NEW}", f"{NEW},{OLD}"):
        for name in ("consumer", "dispatcher", "risk-api", "debt-api"):
            if system.is_running(name):
                system.stop(name)
            system.processes[name].env["RECOVERY_MESSAGE_KEYS"] = keys
            system.start(name)

    accounts.balanced(run_id)
    again = accounts.start_run(batch_size=100)
    accounts.balanced(again)
    assert before == {name: len(system.events(name, "unauthentic")) for name in ("dispatcher", "consumer")}


@pytest.mark.parametrize(("until", "worked"), [("2999-01-01T00:00:00Z", True), ("2026-01-01T00:00:00Z", False)])
def test_messages_of_the_version_before_are_worked_until_the_moment_that_is_set(
    build: Build, until: str, worked: bool
) -> None:
    system = build("sqlite", 300)
    system.start("sqs", "risk-api", "debt-api", "dispatcher")
    system.until_ready()
    accounts = Accounts(system)
    run_id = accounts.start_run(batch_size=100)
    bodies = in_the_queues(accounts, run_id)
    for lane in LANES:
        accounts.queues.send(lane, *bodies[lane])
    _as_version_1_0_sent_them(accounts)

    system.settings = {
        "RECOVERY_MESSAGE_KEYS": NEW,
        "RECOVERY_UNSIGNED_UNTIL": until,
        "RISK_RESEND_AFTER_SECONDS": "600",
    }
    system.start("consumer", "dispatcher")

    if worked:
        accounts.balanced(run_id)
    else:
        count = sum(map(len, bodies.values()))
        dead = lambda: sum(accounts.queues.depth(f"{lane}-dlq")[0] for lane in LANES)  # noqa: E731
        system.wait_for(lambda: dead() == count, 20, "every message dead")
        ledger = accounts.of_every_debtor(run_id)
        assert (ledger.decided, ledger.errors) == (0, 0)
    system.close()


def _as_version_1_0_sent_them(accounts: Accounts) -> None:
    with accounts.risk_database.write() as connection:
        connection.execute(run_batches.update().values(digest=None))
