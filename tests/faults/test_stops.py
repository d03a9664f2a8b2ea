"""Promise 10: what was acknowledged before a batch is begun is respected by it, whatever the queue or a process did."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.accounts import PAID, Accounts
from tests.faults.test_duplicates import published_without_consumers

Whole = Callable[[str], Accounts]


class Book:
    """A portfolio of its own with a few debtors, in a system that other tests share."""

    def __init__(self, accounts: Accounts, name: str) -> None:
        self.accounts, self.name = accounts, name
        self._http, self._url = accounts.system.http, f"{accounts.system.risk_url}/risk-service"

    def call(self, method: str, path: str, body: Any = None) -> Any:
        response = self._http.request(method, f"{self._url}{path}", json=body)
        assert response.is_success, response.text
        return response.json() if response.content else None

    def debtors(self, count: int) -> list[int]:
        body = PAID | {"portfolio": self.name, "payment_status": "UNPAID"}
        return [self.call("POST", "/debtors", body)["id"] for _ in range(count)]

    def stop_each_way(self, paid: int, deleted: int, held: int) -> None:
        self.call("PATCH", f"/debtors/{paid}", {"payment_status": "PAID"})
        self.call("DELETE", f"/debtors/{deleted}")
        hold = {"debtor_id": held, "kind": "DISPUTE", "reason": "disputes the amount"}
        self.call("POST", "/holds", hold)

    def outcomes(self, run_id: str) -> dict[int, str]:
        """What became of each debtor of a run: the reason of its skip, or DECIDED."""
        found: dict[int, str] = {}
        for path in ("skips", "decisions"):
            url = f"{self.accounts.system.debt_url}/debt-service/runs/{run_id}/{path}"
            items = self._http.get(url).raise_for_status().json()["items"]
            found |= {item["debtor_id"]: item.get("reason", "DECIDED") for item in items}
        return found


@pytest.mark.parametrize("kind", ["sqlite", "mariadb"])
def test_who_was_paid_deleted_or_put_on_hold_after_the_batch_was_sent_is_not_worked(whole: Whole, kind: str) -> None:
    accounts = whole(kind)
    book = Book(accounts, "stopped-in-flight")
    paid, deleted, held, kept = book.debtors(4)
    run_id = published_without_consumers(accounts, batch_size=2, portfolio=book.name)

    accounts.system.start("dispatcher")
    book.stop_each_way(paid, deleted, held)
    accounts.until_stops_are_sent()
    accounts.system.start("consumer")

    accounts.balanced(run_id)
    assert book.outcomes(run_id) == {paid: "PAID", deleted: "DELETED", held: "HOLD_DISPUTE", kept: "DECIDED"}


def test_stops_that_a_killed_queue_lost_are_respected_all_the_same(whole: Whole) -> None:
    accounts = whole("sqlite")
    book = Book(accounts, "stopped-and-lost")
    paid, deleted, held, kept = book.debtors(4)
    run_id = published_without_consumers(accounts, batch_size=2, portfolio=book.name)
    accounts.system.start("dispatcher")
    book.stop_each_way(paid, deleted, held)
    accounts.until_stops_are_sent()

    accounts.system.kill("sqs", "dispatcher")
    accounts.system.start("sqs", "dispatcher")
    accounts.until_stops_are_sent()
    accounts.system.start("consumer")

    accounts.balanced(run_id)
    assert book.outcomes(run_id) == {paid: "PAID", deleted: "DELETED", held: "HOLD_DISPUTE", kept: "DECIDED"}
