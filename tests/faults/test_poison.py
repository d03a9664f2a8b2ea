"""Promise 3: a poison message blocks nothing; it ends among the dead letters, can be seen there and sent back."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.accounts import Accounts
from tests.support.faults.crashing import Fault
from tests.support.system.system import System

Whole = Callable[[str], Accounts]

ALWAYS = 10**9


@pytest.fixture
def poisoned(whole: Whole) -> Accounts:
    """The shared system with empty queues."""
    accounts = whole("sqlite")
    for role in ("high", "standard", "high-dlq", "standard-dlq"):
        accounts.queues.drain(role)
    return accounts


def dead_letters(system: System) -> list[dict[str, Any]]:
    response = system.http.get(f"{system.debt_url}/debt-service/dead-letters", params={"limit": 100})
    assert response.status_code == 200, response.text
    items: list[dict[str, Any]] = response.json()["items"]
    return items


def dead_count(system: System) -> int:
    lanes = system.http.get(f"{system.debt_url}/debt-service/queues").json()["lanes"]
    return sum(lane["dead"] for lane in lanes)


def some_debtor(accounts: Accounts) -> int:
    """A debtor in the middle of the portfolio."""
    debtors = sorted(accounts.eligible())
    return debtors[len(debtors) // 2]


def test_unreadable_messages_end_in_the_dead_letter_queue_and_other_batches_are_processed(poisoned: Accounts) -> None:
    system, queues = poisoned.system, poisoned.queues
    poisons = {
        "not JSON": '{"schema": "smartrecover.debt-batch.v1", "debtors": [',
        "schema": '{"schema": "smartrecover.debt-batch.v99", "debtors": []}',
        "batch_id": '{"schema": "smartrecover.debt-batch.v1", "run_id": 7, "debtors": []}',
        "received too often": json.dumps({"padding": "x" * 300_000}),  # too large to be sent again with a reason
    }
    queues.send("high", *poisons.values())
    queues.send("standard", "{}")
    run_id = poisoned.start_run(batch_size=100)

    poisoned.balanced(run_id)
    system.wait_for(lambda: dead_count(system) == 5, 40, "all poison among the dead letters")
    reasons = [letter["reason"] for letter in dead_letters(system)]
    assert len(reasons) == 5
    for said in poisons:
        assert any(said in reason for reason in reasons), (said, reasons)


def test_a_debtor_that_makes_the_code_raise_is_one_error_among_decisions(poisoned: Accounts) -> None:
    debtor = some_debtor(poisoned)
    faults = poisoned.system.processes["consumer"].faults
    faults.arm(Fault("decide.debtor", do="raise", debtor=debtor, times=ALWAYS, text="cannot score this"))

    run_id = poisoned.start_run(batch_size=100)
    ledger = poisoned.balanced(run_id)

    assert ledger.errors == 1
    [error] = poisoned.system.report(run_id)["first_errors"]
    assert (error["debtor_id"], error["stage"], error["detail"]) == (debtor, "score", "cannot score this")


def test_a_batch_that_always_raises_is_dead_lettered_after_its_last_receive_and_can_be_sent_back(
    poisoned: Accounts,
) -> None:
    system = poisoned.system
    faults = system.processes["consumer"].faults
    faults.arm(Fault("decide", do="raise", debtor=some_debtor(poisoned), times=ALWAYS, text="cannot work this"))

    run_id = poisoned.start_run(batch_size=100)
    run = system.wait_until_over(run_id)
    ledger = poisoned.of(run_id)
    assert (ledger.dead, ledger.lost, ledger.unfinished) == (1, 100, 0)
    assert ledger.decided + ledger.lost == ledger.acknowledged
    assert "dead" in run["error"]
    letters = [letter for letter in dead_letters(system) if letter["run_id"] == run_id]
    assert letters
    for letter in letters:
        assert letter["reason"] == "RuntimeError: cannot work this"
        assert letter["receive_count"] == 5

    faults.disarm()
    response = system.http.post(f"{system.debt_url}/debt-service/dead-letters/redrive", json={})
    assert response.status_code in (200, 202), response.text
    assert response.json()["redriven"] >= 1
    system.wait_for(lambda: poisoned.of(run_id).is_balanced, 20, "the redriven batch done and reported")
    assert system.run(run_id)["error"] is None
    assert system.report(run_id)["state"] == "completed"


def test_a_debtor_that_kills_the_process_is_found_out_and_other_batches_are_processed(poisoned: Accounts) -> None:
    system = poisoned.system
    faults = system.processes["consumer"].faults
    faults.arm(Fault("decide", do="kill", debtor=some_debtor(poisoned), times=ALWAYS))

    run_id = poisoned.start_run(batch_size=100)

    def over() -> bool:
        if not system.is_running("consumer"):
            system.start("consumer")
        return system.run(run_id)["state"] == "completed"

    system.wait_for(over, 60, "the run completed in spite of the killer")
    ledger = poisoned.of(run_id)
    assert (ledger.dead, ledger.lost, ledger.unfinished) == (1, 100, 0)
    assert ledger.decided + ledger.lost == ledger.acknowledged
    reasons = [letter["reason"] for letter in dead_letters(system) if letter["run_id"] == run_id]
    assert "the process ended 2 times while processing it" in reasons

    faults.disarm()
    system.revive()
    done = system.run_command("debt_processing", "redrive")
    assert (done.code, done.out.startswith("redriven ")) == (0, True), done
    system.wait_for(lambda: poisoned.of(run_id).is_balanced, 20, "the redriven batch done and reported")
