"""What people do while a storm rages: debtors pay, vanish, dispute and turn out to be one person."""

import contextlib
import random
from collections.abc import Callable
from typing import Any

import httpx
from tests.support.system.ledger import everybody
from tests.support.system.restraints import Restraint
from tests.support.system.system import System

from recovery_core.holds import HoldKind
from service_kit.clock import utc_now
from service_kit.database.engine import Database

KINDS = tuple(HoldKind)
PERSONS = 20


class People:
    """Changes debtors through the API, and remembers what was acknowledged."""

    def __init__(self, system: System, risk_database: Database, rng: random.Random) -> None:
        self._system, self._risk_database, self._rng = system, risk_database, rng
        self._holds: dict[str, Restraint] = {}
        self.restraints: list[Restraint] = []

    def acts(self) -> list[Callable[[], None]]:
        """What chance chooses from, the frequent repeated."""
        return [self._pay, self._delete, self._change_debt, self._name_person] + [self._place_hold, self._end_hold] * 2

    def _pay(self) -> None:
        debtor_id = self._someone()
        if self._call("PATCH", f"/debtors/{debtor_id}", payment_status="PAID") is not None:
            self.restraints.append(Restraint(debtor_id, "paid", utc_now()))

    def _delete(self) -> None:
        debtor_id = self._someone()
        if self._call("DELETE", f"/debtors/{debtor_id}") is not None:
            self.restraints.append(Restraint(debtor_id, "deleted", utc_now()))

    def _change_debt(self) -> None:
        debt = f"{self._rng.choice((1, 500, 5_000, 400_000))}.00"
        self._call("PATCH", f"/debtors/{self._someone()}", total_debt_amount=debt)

    def _name_person(self) -> None:
        self._call("PATCH", f"/debtors/{self._someone()}", person_ref=f"P-{self._rng.randrange(PERSONS)}")

    def _place_hold(self) -> None:
        debtor_id = self._someone()
        target: dict[str, Any] = {"debtor_id": debtor_id}
        if is_of_person := self._rng.random() < 0.2:
            target = {"portfolio": "default", "person_ref": f"P-{self._rng.randrange(PERSONS)}"}
        if is_partial := self._rng.random() < 0.3:
            target["blocks"] = self._rng.sample(["AGENT_CALL", "LEGAL_REVIEW", "PAYMENT_PLAN_OFFER"], 2)
        hold = self._call("POST", "/holds", kind=self._rng.choice(KINDS).value, reason="in a storm", **target)
        if hold is not None:
            self._holds[hold["id"]] = one = Restraint(debtor_id, "on hold", utc_now())
            if not is_of_person and not is_partial and hold["blocks"] == "all":
                self.restraints.append(one)

    def _end_hold(self) -> None:
        if not self._holds:
            return
        hold_id = self._rng.choice(list(self._holds))
        self._holds.pop(hold_id).until = utc_now()  # it may end although no answer comes
        self._call("POST", f"/holds/{hold_id}/end", reason="the storm is over")

    def _someone(self) -> int:
        return self._rng.choice(sorted(everybody(self._risk_database)) or [1])

    def _call(self, method: str, path: str, **body: Any) -> Any:
        """Return what was acknowledged; None for what was refused, or not answered and so may have happened or not."""
        with contextlib.suppress(httpx.TransportError):
            url = f"{self._system.risk_url}/risk-service{path}"
            response = self._system.http.request(method, url, json=body or None)
            if response.is_success:
                return response.json() if response.content else {}
            assert response.status_code in (404, 409, 503), response.text
        return None
