"""A system together with the accounts of what it was asked to do."""

from contextlib import suppress
from typing import Any

from botocore.exceptions import ClientError
from sqlalchemy import func, select
from tests.support.system.ledger import NOTHING, Ledger, account, eligible, everybody
from tests.support.system.queues import Queues
from tests.support.system.system import BASE, OVER, System, pause

from risk_assessment.tables import runs, stops
from service_kit.database.engine import Database

PAID = {
    "name": "Alex Example",
    "total_debt_amount": "10.00",
    "monthly_income": "10.00",
    "late_payments_count": 0,
    "employment_status": "EMPLOYED",
    "contract_type": "PERMANENT",
    "industry_sector": "RETAIL",
    "payment_status": "PAID",
}


class Accounts:
    """Starts runs in a system and says afterwards whether all of them balance."""

    def __init__(self, system: System) -> None:
        self.system = system
        self.queues = Queues(system)
        self.risk_database = Database(system.risk_database_url)
        self.debt_database = Database(system.debt_database_url)
        self._runs: dict[str, set[int]] = {}

    def heal(self) -> None:
        """Every process running, no more than usual, and no fault armed."""
        for name in set(self.system.processes) - set(BASE):
            self.system.drop(name)
        for process in self.system.processes.values():
            process.faults.disarm()
        self.system.start()
        self.system.until_ready()

    def eligible(self) -> set[int]:
        """The debtors that a run ranks, now, where there are no holds."""
        return eligible(self.risk_database)

    def add_paid_portfolio(self, name: str) -> None:
        """Add a portfolio in which there is nothing to process: its only debtor has paid."""
        body = PAID | {"portfolio": name}
        assert self.system.http.post(f"{self.system.risk_url}/risk-service/debtors", json=body).status_code == 201

    def start_run(self, **options: Any) -> str:
        """Start a run over the debtors of a portfolio."""
        there = everybody(self.risk_database, options.get("portfolio", "default"))
        run = self.system.start_run(**options)
        run_id: str = run["id"]
        self._runs[run_id] = there
        return run_id

    def of(self, run_id: str) -> Ledger:
        """The accounts of one run."""
        return account(self.risk_database, self.debt_database, run_id, self._runs[run_id])

    def runs_there_are(self) -> int:
        """How many runs were ever accepted."""
        with self.risk_database.read() as connection:
            return connection.execute(select(func.count()).select_from(runs)).scalar_one()

    def of_every_debtor(self, run_id: str) -> Ledger:
        """The accounts of a run that was started elsewhere, over every debtor."""
        return account(self.risk_database, self.debt_database, run_id, everybody(self.risk_database))

    def total(self) -> Ledger:
        """The accounts of all runs so far."""
        return sum((self.of(run_id) for run_id in self._runs), NOTHING)

    def until_published(self, run_id: str) -> dict[str, Any]:
        """The run once every batch of it has been sent."""

        def published() -> dict[str, Any] | None:
            run = self.system.run(run_id)
            return run if run["state"] in ("published", *OVER) else None

        return self.system.wait_for(published, 20, "a run published") or {}

    def until_stops_are_sent(self) -> None:
        """Wait until the dispatcher has sent every stop that was noted, where no consumer takes them in."""

        def sent() -> bool:
            with self.risk_database.read() as connection:
                pending = connection.execute(select(stops.c.debtor_id).where(stops.c.sequence.is_(None))).first()
            with suppress(ClientError):  # a server that was just started has no queues yet
                return pending is None and self.queues.depth("stops")[0] > 0
            return False

        self.system.wait_for(sent, 20, "stops sent")

    def between_kills(self, seconds: float) -> None:
        """Let the system go on for a moment before it is hit again."""
        pause(seconds)

    def healed(self, run_id: str, seconds: float = 60) -> Ledger:
        """Wait until a run is over, do what an operator does about dead letters, and fail unless it balances."""
        self.system.wait_until_over(run_id, seconds)

        def balanced() -> bool:
            if self.of(run_id).is_balanced:
                return True
            self.system.http.post(f"{self.system.debt_url}/debt-service/dead-letters/redrive", json={})
            return False

        self.system.wait_for(balanced, 20, f"run {run_id} balanced", every=0.5)
        return self.of(run_id)

    def balanced(self, run_id: str, seconds: float = 40) -> Ledger:
        """Wait until a run is over, and fail unless it balances."""
        run = self.system.wait_until_over(run_id, seconds)
        ledger = self.of(run_id)
        assert ledger.is_balanced, f"{run}\n{ledger.table()}\n{self.system.ends_of_logs()}"
        return ledger
