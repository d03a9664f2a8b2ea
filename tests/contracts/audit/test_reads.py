"""Every route that shows personal data leaves a log event, and no record."""

from typing import Any

import pytest
from tests.contracts.access.guarded import ROOTS, Guarded
from tests.contracts.audit.actions import READS, WHY, created, held, ok
from tests.contracts.audit.conftest import Log
from tests.debt_processing.builders import LATER, NOW, a_batch, a_debtor, debtors
from tests.risk_assessment.planned import plan

from debt_processing.batches import service as inbox
from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy


def recorded(debt: Guarded, entries: list[dict[str, Any]]) -> None:
    """Record a batch of a run as the consumer would."""
    batch = a_batch(entries=entries)
    decided = decide(batch, resolve_policy(batch.header))
    debt.database.transact(lambda connection: inbox.record(connection, decided, NOW, LATER))


def _subjects(path: str, debtor: int, hold: str, run: str, simulation: str) -> list[str]:
    """Return what a read of this path is about. A preview is about the debtors that it shows."""
    if path.startswith("/holds"):
        return [f"hold:{hold}"]
    if path.startswith("/simulations"):
        return [f"simulation:{simulation}"]
    named = {"run_id": f"run:{run}", "debtor_id": f"debtor:{debtor}"}
    return [subject for name, subject in named.items() if f"{{{name}}}" in path] or [named["debtor_id"]]


class TestReads:
    @pytest.mark.parametrize(("method", "path"), list(READS["risk"]))
    def test_a_read_of_personal_data_is_logged_and_writes_nothing(
        self, risk: Guarded, log: Log, method: str, path: str
    ) -> None:
        debtor = created(risk)
        hold = held(risk, debtor)
        run = str(ok(risk.request("operator", "POST", "/risk-service/runs", json={}))["id"])
        tried = ok(risk.request("operator", "POST", "/risk-service/simulations", json={"policy": "classic"}))
        simulation = str(tried["id"])
        plan(risk.database, run)
        before = risk.records()

        address = ROOTS["risk"] + path.format(debtor_id=debtor, hold_id=hold, run_id=run, simulation_id=simulation)
        params = {"with": run} if path.endswith("/compare") else {}
        ok(risk.request("viewer", method, address, headers=WHY, params=params))

        assert log.events == [
            {
                "event": "audit.read",
                "action": READS["risk"][method, path],
                "subjects": _subjects(path, debtor, hold, run, simulation),
                "actor": "key:the-viewer",
                "role": "viewer",
                "reason": "Ticket 7",
                "request_id": "r-7",
            }
        ]
        assert risk.records() == before

    @pytest.mark.parametrize(("params", "subject"), [({}, "*"), ({"portfolio": "default"}, "default")])
    def test_an_export_is_logged_with_its_portfolio(
        self, risk: Guarded, log: Log, params: dict[str, str], subject: str
    ) -> None:
        created(risk)

        response = risk.request(
            "viewer", "GET", "/risk-service/debtors", params=params, headers=WHY | {"Accept": "text/csv"}
        )

        assert "Alex Example" in response.text
        assert [(event["action"], event["subjects"], event["reason"]) for event in log.events] == [
            ("debtor.exported", [f"portfolio:{subject}"], "Ticket 7")
        ]

    def test_a_debtors_history_of_decisions_is_logged(self, debt: Guarded, log: Log) -> None:
        ok(debt.request("viewer", "GET", "/debt-service/debtors/7/decisions", headers=WHY))

        assert [(event["action"], event["subjects"]) for event in log.events] == [
            ("debtor.decisions_read", ["debtor:7"])
        ]

    @pytest.mark.parametrize(("method", "path"), [route for route in READS["debt"] if "/runs" in route[1]])
    def test_a_read_of_what_came_of_a_run_is_logged(self, debt: Guarded, log: Log, method: str, path: str) -> None:
        recorded(debt, [*debtors(2), a_debtor(7) | {"industry_sector": "?"}])

        ok(debt.request("viewer", method, ROOTS["debt"] + path.format(run_id="run-1"), headers=WHY))

        # The report names the debtors of its first errors; the lists show too many to name.
        named = ["debtor:7"] if path in ("/runs", "/runs/{run_id}") else []
        assert [(event["action"], event["subjects"], event["reason"]) for event in log.events] == [
            (READS["debt"][method, path], ["run:run-1", *named], "Ticket 7")
        ]

    def test_a_report_that_names_no_debtor_is_no_read_of_personal_data(self, debt: Guarded, log: Log) -> None:
        recorded(debt, debtors(2))

        for path in ("/runs", "/runs/run-1"):
            ok(debt.request("viewer", "GET", ROOTS["debt"] + path))

        assert log.events == []

    @pytest.mark.parametrize("path", ["/debtors/999", "/debtors/999/score", "/debtors/999/assessments", "/holds/x"])
    def test_what_is_not_there_was_not_read(self, risk: Guarded, log: Log, path: str) -> None:
        assert risk.request("viewer", "GET", ROOTS["risk"] + path).status_code == 404

        assert log.events == []
