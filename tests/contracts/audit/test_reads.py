"""Every route that shows personal data leaves a log event, and no record."""

import pytest
from tests.contracts.access.guarded import ROOTS, Guarded
from tests.contracts.audit.actions import READS, WHY, created, ok
from tests.contracts.audit.conftest import Log


class TestReads:
    @pytest.mark.parametrize(("method", "path"), list(READS["risk"]))
    def test_a_read_of_personal_data_is_logged_and_writes_nothing(
        self, risk: Guarded, log: Log, method: str, path: str
    ) -> None:
        debtor = created(risk)
        before = risk.records()

        ok(risk.request("viewer", method, ROOTS["risk"] + path.format(debtor_id=debtor), headers=WHY))

        assert log.events == [
            {
                "event": "audit.read",
                "action": READS["risk"][method, path],
                "subjects": [f"debtor:{debtor}"],
                "actor": "key:the-viewer",
                "role": "viewer",
                "reason": "Ticket 7",
                "request_id": "r-7",
            }
        ]
        assert risk.records() == before

    def test_a_debtors_history_of_decisions_is_logged(self, debt: Guarded, log: Log) -> None:
        ok(debt.request("viewer", "GET", "/debt-service/debtors/7/decisions", headers=WHY))

        assert [(event["action"], event["subjects"]) for event in log.events] == [
            ("debtor.decisions_read", ["debtor:7"])
        ]

    @pytest.mark.parametrize("path", ["/debtors/999", "/debtors/999/score", "/debtors/999/assessments"])
    def test_what_is_not_there_was_not_read(self, risk: Guarded, log: Log, path: str) -> None:
        assert risk.request("viewer", "GET", ROOTS["risk"] + path).status_code == 404

        assert log.events == []
