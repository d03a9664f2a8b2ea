"""What clients do with debtors and see of them, in any order."""

from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, invariant, rule
from tests.contracts.stateful.debtors.debtor_model import (
    FILLED_IN,
    PORTFOLIOS,
    PROFILE_FIELDS,
    Filter,
    bodies,
    changed_bodies,
    matches,
    money,
    settled,
)
from tests.contracts.stateful.debtors.side_by_side import SideBySide

from recovery_core.money import format_money
from recovery_core.profile import PaymentStatus
from risk_assessment.tables import assessments, audit_records, debtors


class DebtorMachine(SideBySide):
    """The requests of clients, and what is true after each of them."""

    debtor_ids: Bundle[int] = Bundle("debtor_ids")
    posts: Bundle[tuple[str, dict[str, Any], httpx.Response]] = Bundle("posts")

    # What clients do

    @rule(target=debtor_ids, body=bodies)
    def create(self, body: dict[str, Any]) -> Any:
        return self.note_created(body, self.call("POST", "/debtors", json=body))

    @rule(target=posts, body=bodies, key=st.uuids().map(str))
    def create_once(self, body: dict[str, Any], key: str) -> tuple[str, dict[str, Any], httpx.Response]:
        response = self.call("POST", "/debtors", json=body, headers={"Idempotency-Key": key})
        self.note_created(body, response)
        return key, body, response

    @rule(post=posts, other=bodies)
    def create_once_again(self, post: tuple[str, dict[str, Any], httpx.Response], other: dict[str, Any]) -> None:
        key, body, before = post
        if before.status_code != 201:
            return  # a refusal is not kept: the next try may fare better
        headers = {"Idempotency-Key": key}
        reordered = dict(reversed(body.items()))

        again = self.call("POST", "/debtors", json=reordered, headers=headers)

        assert (again.status_code, again.content) == (201, before.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert [again.headers[name] for name in ("location", "etag")] == [
            before.headers[name] for name in ("location", "etag")
        ]
        if other != body:
            assert self.call("POST", "/debtors", json=other, headers=headers).status_code == 422

    @rule(debtor_id=debtor_ids)
    def read(self, debtor_id: int) -> None:
        response = self.call("GET", f"/debtors/{debtor_id}")
        if debtor_id in self.known:
            self.assert_shown(response, debtor_id)
        else:
            assert response.status_code == 404

    @rule(debtor_id=debtor_ids, body=changed_bodies, match=matches)
    def replace(self, debtor_id: int, body: dict[str, Any], match: str) -> None:
        self.ask_change("PUT", debtor_id, body, settled(FILLED_IN | body), match)

    @rule(
        debtor_id=debtor_ids,
        body=changed_bodies,
        match=matches,
        chosen=st.sets(st.sampled_from([*PROFILE_FIELDS, "name", "portfolio", "external_ref", "person_ref"])),
    )
    def patch(self, debtor_id: int, body: dict[str, Any], match: str, chosen: set[str]) -> None:
        changes = {name: value for name, value in body.items() if name in chosen}
        if debtor_id not in self.known:
            self.ask_change("PATCH", debtor_id, changes, changes, match)
            return
        before = self.known[debtor_id].fields
        after = settled(before | changes, before, says_status="payment_status" in changes)
        if changes.get("payment_status", after["payment_status"]) != after["payment_status"]:
            changes["total_debt_amount"] = after["total_debt_amount"]  # a status alone would open it in vain
        self.ask_change("PATCH", debtor_id, changes, after, match)

    @rule(debtor_id=debtor_ids, match=matches)
    def delete(self, debtor_id: int, match: str) -> None:
        known = self.known.get(debtor_id)
        response = self.call("DELETE", f"/debtors/{debtor_id}", headers=known.header(match) if known else {})
        if known is None:
            assert response.status_code == 404
        elif match in ("weak", "stale", "future"):
            assert response.status_code == 412
        else:
            assert (response.status_code, response.content) == (204, b"")
            del self.known[debtor_id]
            self.changes += 1

    # What clients see

    @rule(debtor_id=debtor_ids, limit=st.integers(1, 4))
    def history(self, debtor_id: int, limit: int) -> None:
        if debtor_id not in self.known:
            assert self.call("GET", f"/debtors/{debtor_id}/assessments").status_code == 404
            return
        shown = self.every_item(f"/debtors/{debtor_id}/assessments", {"limit": limit})
        assert [item["version"] for item in shown] == list(range(self.known[debtor_id].version, 0, -1))
        assert [item["profile"] for item in reversed(shown)] == self.known[debtor_id].history

    @rule(debtor_id=debtor_ids)
    def score(self, debtor_id: int) -> None:
        response = self.call("GET", f"/debtors/{debtor_id}/score")
        if debtor_id not in self.known:
            assert response.status_code == 404
            return
        assert response.json()["total_score"] == self.known[debtor_id].score.total_score
        assert response.json()["priority"] == format_money(self.known[debtor_id].priority)

    @rule(
        sort=st.sampled_from(["id", "priority"]),
        limit=st.integers(1, 5) | st.just(500),
        portfolio=st.none() | st.sampled_from(PORTFOLIOS),
        levels=st.lists(st.sampled_from(["LOW", "MEDIUM", "HIGH", "CRITICAL"]), max_size=3),
        status=st.none() | st.sampled_from(list(PaymentStatus)),
        debts=st.tuples(st.none() | money, st.none() | money),
    )
    def list_all(self, sort: str, limit: int, **wished: Any) -> None:
        wanted = Filter(**wished)
        found = self.every_item("/debtors", {"sort": sort, "limit": limit} | wanted.parameters)
        assert [item["id"] for item in found] == self.ids_in_order(wanted.fits, sort)

    @rule(limit=st.integers(1, 5))
    def high_risk(self, limit: int) -> None:
        found = self.every_item("/debtors/high-risk", {"limit": limit})
        wanted = self.ids_in_order(lambda known: known.score.risk_level in ("HIGH", "CRITICAL"), "priority")
        assert [item["id"] for item in found] == wanted

    @invariant()
    def nothing_is_half_written(self) -> None:
        with self.database.read() as connection:
            rows = {row.id: row for row in connection.execute(debtors.select())}
            kept = {(row.debtor_id, row.version): row for row in connection.execute(assessments.select())}
            audited = len(connection.execute(audit_records.select()).all())
        assert rows.keys() == self.known.keys()
        assert audited == self.changes
        for debtor_id, row in rows.items():
            last = kept[debtor_id, row.version]._mapping
            assert row.version == self.known[debtor_id].version
            assert all(last[name] == row._mapping[name] for name in (*PROFILE_FIELDS, "priority", "total_score"))
            assert (debtor_id, row.version + 1) not in kept
