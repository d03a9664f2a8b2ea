"""What people do to the debtors of the world, and what that forbids."""

import contextlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from tests.risk_assessment.builders import a_debtor, a_registry
from tests.support.system.restraints import Restraint

from recovery_core.holds import HoldKind
from recovery_core.policies.builtin import built_in_policy
from risk_assessment.debtors import bulk
from risk_assessment.debtors import service as debtors
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.schemas import DebtorIn
from risk_assessment.debtors.tables import debtors as debtors_table
from risk_assessment.holds import service as holds
from risk_assessment.holds.schemas import HoldEndIn, HoldIn
from risk_assessment.portfolios import service as portfolios
from risk_assessment.portfolios.schemas import ActivationIn
from risk_assessment.portfolios.service import DebtorsLackFieldError
from service_kit.database.engine import Database

if TYPE_CHECKING:
    from tests.contracts.stateful.world import World

REGISTRY = a_registry()
PERSONS = ("P-1", "P-2")
REFERENCES = ("R-1", "R-2", "R-3", "R-4")
ACTIVATION = ActivationIn.model_validate({"portfolio": "default", "reason": "so it was decided"})


class People:
    """They add, change, pay and remove debtors, and put them on hold."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._holds: dict[str, Restraint] = {}
        self.restraints: list[Restraint] = []

    def add(self, body: dict[str, Any]) -> None:
        new = DebtorIn.model_validate(a_debtor(**body))
        self._risk.transact(lambda c: debtors.create(c, new, REGISTRY, self._now))

    def change(self, debtor_id: int, body: dict[str, Any]) -> None:
        new = DebtorIn.model_validate(a_debtor(**body))
        self._owes_again(debtor_id)
        self._risk.transact(lambda c: debtors.replace(c, debtor_id, new, REGISTRY, self._now))
        if body.get("payment_status") == "PAID":
            self._forbid(Restraint(debtor_id, "paid", self._now))

    def import_file(self, chance: Random) -> None:
        """A file with some of the debtors that have a reference, some of which owe nothing any more."""
        scorer = bulk.bulk_scorer(self._risk, REGISTRY, "default", self._now)
        rows = [_a_row(chance, reference) for reference in chance.sample(REFERENCES, 2)]
        for debtor_id in self._ids_of(row.external_ref for row in rows):
            self._owes_again(debtor_id)
        scored = [(row, scorer.score(row)) for row in rows]
        self._risk.transact(lambda c: bulk.upsert(c, "default", scored, scorer))
        for debtor_id in self._ids_of(row.external_ref for row in rows if row.payment_status == "PAID"):
            self._forbid(Restraint(debtor_id, "paid", self._now))

    def activate(self, policy: str) -> None:
        """Make a policy the active one, unless it cannot score the debtors that there are."""
        document = built_in_policy(policy)
        with contextlib.suppress(DebtorsLackFieldError):
            self._risk.transact(lambda c: portfolios.activate(c, document, ACTIVATION, REGISTRY, "test", self._now))

    def remove(self, debtor_id: int) -> None:
        self._risk.transact(lambda c: debtors.remove(c, debtor_id, now=self._now))
        self._forbid(Restraint(debtor_id, "deleted", self._now))

    def place_hold(self, chance: Random, debtor_id: int) -> None:
        """On a debtor or a person, on everything or on some actions, from some time ago or from a later time."""
        begins_at = self._now + timedelta(seconds=chance.choice([-100, 0, 0, 15, 200]))
        until = chance.choice([None, None, begins_at + timedelta(seconds=60)])
        target: dict[str, Any] = {"debtor_id": debtor_id}
        if of_person := chance.random() < 0.3:
            target = {"portfolio": "default", "person_ref": chance.choice(PERSONS)}
        if is_partial := chance.random() < 0.4:
            target["blocks"] = ["AGENT_CALL", "PAYMENT_PLAN_OFFER"]
        times = {"from": begins_at.isoformat(), "until": None if until is None else until.isoformat()}
        body = HoldIn.model_validate({"kind": chance.choice(list(HoldKind)), "reason": "so it is"} | target | times)
        hold_id = self._risk.transact(lambda c: holds.place(c, body, "test", self._now))
        self._holds[hold_id] = one = Restraint(debtor_id, "on hold", self._now, begins_at, until)
        if not (of_person or is_partial or body.kind == HoldKind.TIME_BARRED):
            self._forbid(one)

    def end_hold(self, chance: Random) -> None:
        if not self._holds:
            return
        hold_id = chance.choice(sorted(self._holds))
        one = self._holds[hold_id]
        if one.begins_at is not None and one.begins_at > self._now:
            return  # it cannot end before it has begun
        del self._holds[hold_id]
        one.until = self._now if one.until is None else min(one.until, self._now)
        end = HoldEndIn.model_validate({"reason": "it is over"})
        self._risk.transact(lambda c: holds.end(c, hold_id, end, "test", self._now))

    def _owes_again(self, debtor_id: int) -> None:
        for one in self.restraints:
            if (one.debtor_id, one.why, one.until) == (debtor_id, "paid", None):
                one.until = self._now

    def _ids_of(self, references: Iterable[str]) -> list[int]:
        wanted = select(debtors_table.c.id).where(debtors_table.c.external_ref.in_(list(references)))
        with self._risk.read() as connection:
            return list(connection.execute(wanted).scalars())

    def _forbid(self, restraint: Restraint) -> None:
        self.restraints.append(restraint)

    @property
    def _risk(self) -> Database:
        return self._world.risk

    @property
    def _now(self) -> datetime:
        return self._world.now


def _a_row(chance: Random, reference: str) -> DebtorRow:
    paid = chance.random() < 0.3
    return DebtorRow(
        external_ref=reference,
        person_ref=chance.choice([None, *PERSONS]),
        name="Alex Example",
        total_debt_amount=0 if paid else chance.choice([1, 50_000, 8_000_000]),
        monthly_income=150_000,
        late_payments_count=chance.choice([0, 9]),
        employment_status="EMPLOYED",
        contract_type="PERMANENT",
        industry_sector="RETAIL",
        family_situation="WIDOWED_WITH_DEPENDENTS",
        attributes=None,
        payment_status="PAID" if paid else "UNPAID",
    )
