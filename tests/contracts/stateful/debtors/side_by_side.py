"""The API and the model side by side: each request is made to one and noted in the other."""

from collections.abc import Callable
from typing import Any

import httpx
from hypothesis.stateful import RuleBasedStateMachine, multiple
from sqlalchemy import delete
from tests.contracts.in_process import Calls
from tests.contracts.stateful.debtors.debtor_model import FILLED_IN, Known

from recovery_core.money import format_money
from risk_assessment.tables import assessments, audit_records, debtors, idempotency_keys
from service_kit.database.engine import Database


class SideBySide(RuleBasedStateMachine):
    """What the requests of a client have in common: they are made, compared with the model, and noted in it."""

    call: Calls
    database: Database

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as connection:
            for table in (debtors, assessments, idempotency_keys, audit_records):
                connection.execute(delete(table))
        self.known: dict[int, Known] = {}
        self.changes = 0

    def note_created(self, body: dict[str, Any], response: httpx.Response) -> Any:
        fields = FILLED_IN | body
        if self.taken(fields):
            assert response.status_code == 409
            return multiple()
        assert response.status_code == 201, response.text
        debtor_id = int(response.json()["id"])
        assert debtor_id > max(self.known, default=0)
        self.known[debtor_id] = Known(fields)
        self.changes += 1
        assert response.headers["location"] == f"/risk-service/debtors/{debtor_id}"
        self.assert_shown(response, debtor_id, status=201)
        return debtor_id

    def ask_change(self, method: str, debtor_id: int, body: dict[str, Any], fields: dict[str, Any], match: str) -> None:
        known = self.known.get(debtor_id)
        headers = known.header(match) if known else {}
        path = f"/debtors/{debtor_id}"
        response = self.call(method, path, json=body, headers=headers)
        if known is None:
            assert response.status_code == 404
        elif match in ("weak", "stale", "future"):
            assert response.status_code == 412
        elif self.taken(fields, but=debtor_id):
            assert response.status_code == 409
        else:
            known.fields, known.version = fields, known.version + 1
            known.remember()
            self.changes += 1
            self.assert_shown(response, debtor_id)

    def taken(self, fields: dict[str, Any], but: int | None = None) -> bool:
        wanted = fields["portfolio"], fields["external_ref"]
        others = [known for debtor_id, known in self.known.items() if debtor_id != but]
        return wanted[1] is not None and wanted in [(o.fields["portfolio"], o.fields["external_ref"]) for o in others]

    def assert_shown(self, response: httpx.Response, debtor_id: int, status: int = 200) -> None:
        known = self.known[debtor_id]
        assert response.status_code == status, response.text
        shown = response.json()
        assert {name: shown[name] for name in known.fields} == known.fields
        assert (shown["id"], shown["version"], response.headers["etag"]) == (
            debtor_id,
            known.version,
            f'"{known.version}"',
        )
        assert shown["priority"] == format_money(known.priority)
        assert shown["assessment"]["total_score"] == known.score.total_score
        assert shown["assessment"]["risk_level"] == known.score.risk_level

    def ids_in_order(self, fits: Callable[[Known], bool], sort: str) -> list[int]:
        found = [(debtor_id, known) for debtor_id, known in self.known.items() if fits(known)]
        keys = {"id": lambda item: item[0], "priority": lambda item: (-item[1].priority, item[0])}
        return [debtor_id for debtor_id, _ in sorted(found, key=keys[sort])]

    def every_item(self, path: str, wished: dict[str, Any]) -> list[dict[str, Any]]:
        """Every item of a list, page by page."""
        items: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = self.call("GET", path, params=wished | ({"cursor": cursor} if cursor else {}))
            assert page.status_code == 200, page.text
            assert len(page.json()["items"]) <= wished["limit"]
            items += page.json()["items"]
            cursor = page.json()["next_cursor"]
            if cursor is None:
                return items
            assert len(page.json()["items"]) == wished["limit"]
