"""Debtors over HTTP against a model in memory: whatever is created, changed, repeated or deleted, both agree.

FUZZ_EFFORT=20 tries twenty times as much.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import delete
from tests.contracts.conftest import EFFORT
from tests.contracts.in_process import Calls, calling

from recovery_core.money import format_money, parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.profile import (
    FACTS,
    PROFILE_FIELDS,
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    PaymentStatus,
)
from recovery_core.scoring.scorer import scorer_for
from risk_assessment.tables import assessments, audit_records, debtors, idempotency_keys
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade

SCORER = scorer_for(built_in_policy("standard"))

PORTFOLIOS = ("default", "a", "A")
REFS = ("ä", "a", "A", "x" * 128)  # some that careless databases take for equal
money = st.one_of(
    st.sampled_from([1, 100, 999_999_999_999]), st.integers(1, 10_000_00), st.integers(1, 999_999_999_999)
)
names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=20).filter(str.strip)
profiles = st.fixed_dictionaries(
    {
        "total_debt_amount": money.map(format_money),
        "monthly_income": st.one_of(st.just(0), money).map(format_money),
        "late_payments_count": st.integers(0, 12) | st.just(100_000),
        "employment_status": st.sampled_from(list(EmploymentStatus)),
        "contract_type": st.sampled_from(list(ContractType)),
        "industry_sector": st.sampled_from(list(IndustrySector)),
    },
    optional={
        "family_situation": st.none() | st.sampled_from(list(FamilySituation)),
        "payment_status": st.sampled_from(list(PaymentStatus)),
        "portfolio": st.sampled_from(PORTFOLIOS),
        "external_ref": st.none() | st.sampled_from(REFS),
    },
)
bodies = st.builds(lambda profile, name: profile | {"name": name}, profiles, names)
FILLED_IN = {"family_situation": None, "payment_status": "UNPAID", "portfolio": "default", "external_ref": None}
matches = st.sampled_from(["none", "right", "weak", "any", "stale", "future"])


@dataclass
class Known:
    """A debtor as the model has it; each version's profile stays."""

    fields: dict[str, Any]
    version: int = 1
    history: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.remember()

    def remember(self) -> None:
        self.history.append({name: self.fields[name] for name in PROFILE_FIELDS})

    @property
    def score(self) -> Any:
        amounts = {name: parse_money(self.fields[name]) for name in ("total_debt_amount", "monthly_income")}
        return SCORER.score([(self.fields | amounts)[name] for name in FACTS])

    @property
    def priority(self) -> int:
        return int(self.score.total_score * parse_money(self.fields["total_debt_amount"]))

    def header(self, match: str) -> dict[str, str]:
        values = {
            "right": f'"{self.version}"',
            "weak": f'W/"{self.version}"',
            "any": "*",
            "stale": f'"{self.version - 1}"',
            "future": f'"{self.version + 1}"',
        }
        return {} if match == "none" else {"If-Match": values[match]}


class DebtorMachine(RuleBasedStateMachine):
    """The API and the model, side by side."""

    call: Calls
    database: Database
    debtor_ids: Bundle[int] = Bundle("debtor_ids")
    posts: Bundle[tuple[str, dict[str, Any], httpx.Response]] = Bundle("posts")

    def __init__(self) -> None:
        super().__init__()
        with self.database.write() as connection:
            for table in (debtors, assessments, idempotency_keys, audit_records):
                connection.execute(delete(table))
        self.known: dict[int, Known] = {}
        self.changes = 0

    # What clients do

    @rule(target=debtor_ids, body=bodies)
    def create(self, body: dict[str, Any]) -> Any:
        return self._created(body, self.call("POST", "/debtors", json=body))

    @rule(target=posts, body=bodies, key=st.uuids().map(str))
    def create_once(self, body: dict[str, Any], key: str) -> tuple[str, dict[str, Any], httpx.Response]:
        response = self.call("POST", "/debtors", json=body, headers={"Idempotency-Key": key})
        self._created(body, response)
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
            self._assert_shown(response, debtor_id)
        else:
            assert response.status_code == 404

    @rule(debtor_id=debtor_ids, body=bodies, match=matches)
    def replace(self, debtor_id: int, body: dict[str, Any], match: str) -> None:
        self._change("PUT", debtor_id, body, FILLED_IN | body, match)

    @rule(
        debtor_id=debtor_ids,
        body=bodies,
        match=matches,
        chosen=st.sets(st.sampled_from([*PROFILE_FIELDS, "name", "portfolio", "external_ref"])),
    )
    def patch(self, debtor_id: int, body: dict[str, Any], match: str, chosen: set[str]) -> None:
        changes = {name: value for name, value in body.items() if name in chosen}
        before = self.known[debtor_id].fields if debtor_id in self.known else {}
        self._change("PATCH", debtor_id, changes, before | changes, match)

    @rule(debtor_id=debtor_ids, match=matches)
    def delete(self, debtor_id: int, match: str) -> None:
        known = self.known.get(debtor_id)
        response = self.call("DELETE", f"/debtors/{debtor_id}", headers=known.header(match) if known else {})
        if known is None:
            assert response.status_code == 404
        elif match in ("stale", "future"):
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
        shown = self._walk(f"/debtors/{debtor_id}/assessments", {"limit": limit})
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
    def list_all(
        self,
        sort: str,
        limit: int,
        portfolio: str | None,
        levels: list[str],
        status: str | None,
        debts: tuple[int | None, int | None],
    ) -> None:
        at_least, at_most = debts
        wished = {
            "sort": sort,
            "limit": limit,
            "portfolio": portfolio,
            "risk_level": levels or None,
            "payment_status": status,
            "min_debt": None if at_least is None else format_money(at_least),
            "max_debt": None if at_most is None else format_money(at_most),
        }

        def fits(known: Known) -> bool:
            debt = parse_money(known.fields["total_debt_amount"])
            return (
                portfolio in (None, known.fields["portfolio"])
                and (not levels or known.score.risk_level in levels)
                and status in (None, known.fields["payment_status"])
                and (at_least is None or debt >= at_least)
                and (at_most is None or debt <= at_most)
            )

        found = self._walk("/debtors", {name: value for name, value in wished.items() if value is not None})
        assert [item["id"] for item in found] == self._sorted(fits, sort)

    @rule(limit=st.integers(1, 5))
    def high_risk(self, limit: int) -> None:
        found = self._walk("/debtors/high-risk", {"limit": limit})
        wanted = self._sorted(lambda known: known.score.risk_level in ("HIGH", "CRITICAL"), "priority")
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

    # What must come of it

    def _created(self, body: dict[str, Any], response: httpx.Response) -> Any:
        fields = FILLED_IN | body
        if self._taken(fields):
            assert response.status_code == 409
            return multiple()
        assert response.status_code == 201, response.text
        debtor_id = int(response.json()["id"])
        assert debtor_id > max(self.known, default=0)
        self.known[debtor_id] = Known(fields)
        self.changes += 1
        assert response.headers["location"] == f"/risk-service/debtors/{debtor_id}"
        self._assert_shown(response, debtor_id, status=201)
        return debtor_id

    def _change(self, method: str, debtor_id: int, body: dict[str, Any], fields: dict[str, Any], match: str) -> None:
        known = self.known.get(debtor_id)
        headers = known.header(match) if known else {}
        path = f"/debtors/{debtor_id}"
        response = self.call(method, path, json=body, headers=headers)
        if known is None:
            assert response.status_code == 404
        elif match in ("stale", "future"):
            assert response.status_code == 412
        elif self._taken(fields, but=debtor_id):
            assert response.status_code == 409
        else:
            known.fields, known.version = fields, known.version + 1
            known.remember()
            self.changes += 1
            self._assert_shown(response, debtor_id)

    def _taken(self, fields: dict[str, Any], but: int | None = None) -> bool:
        wanted = fields["portfolio"], fields["external_ref"]
        others = [known for debtor_id, known in self.known.items() if debtor_id != but]
        return wanted[1] is not None and wanted in [(o.fields["portfolio"], o.fields["external_ref"]) for o in others]

    def _assert_shown(self, response: httpx.Response, debtor_id: int, status: int = 200) -> None:
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

    def _sorted(self, fits: Callable[[Known], bool], sort: str) -> list[int]:
        found = [(debtor_id, known) for debtor_id, known in self.known.items() if fits(known)]
        keys = {"id": lambda item: item[0], "priority": lambda item: (-item[1].priority, item[0])}
        return [debtor_id for debtor_id, _ in sorted(found, key=keys[sort])]

    def _walk(self, path: str, wished: dict[str, Any]) -> list[dict[str, Any]]:
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


@pytest.mark.parametrize(("kind", "examples"), [("sqlite", 25), ("mariadb", 5)])
def test_debtors_are_what_their_model_says(
    kind: str, examples: int, request: pytest.FixtureRequest, aws_environment: None
) -> None:
    url = request.getfixturevalue(f"{kind}_url")
    upgrade(url, "risk_assessment")
    database = Database(url)
    with calling(url) as call:
        machine = type("Debtors", (DebtorMachine,), {"call": call, "database": database})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=EFFORT.examples(examples), stateful_step_count=30)
        )
    database.dispose()
