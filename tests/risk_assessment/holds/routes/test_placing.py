"""Holds over HTTP: placed on a debtor or a person, once, and what is wrong is named."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, row_counts
from tests.risk_assessment.holds.placing import a_hold, from_now, moment, placed
from tests.risk_assessment.responses import HOLD, all_pages, created, fields_of, shown

from recovery_core.holds import ACTIONS, HoldKind
from risk_assessment.tables import persons, portfolios


def in_zone(api: Api, portfolio: str, zone: str) -> None:
    with api.database.write() as connection:
        connection.execute(delete(portfolios).where(portfolios.c.name == portfolio))
        values = {"time_zone": zone, "jurisdiction": "none", "attributes": "{}", "created_at": NOON, "updated_at": NOON}
        connection.execute(insert(portfolios).values(name=portfolio, **values))


class TestPlacing:
    def test_a_hold_on_a_debtor_stops_everything_from_now_on(self, api: Api, portfolio: str, debtor: int) -> None:
        response = api.post("/holds", json=a_hold(debtor_id=debtor))

        hold = created(response)
        assert set(hold) == HOLD
        assert response.headers["location"] == f"/risk-service/holds/{hold['id']}"
        assert shown(api.get(f"/holds/{hold['id']}")) == hold
        assert hold["from"] == hold["recorded_at"]
        wanted = {
            "portfolio": portfolio,
            "debtor_id": debtor,
            "kind": "DISPUTE",
            "blocks": "all",
            "reason": "The amount is contested",
            "active": True,
        }
        assert hold | wanted == hold
        nothing = ("person_ref", "source", "until", "ended_at", "end_reason", "ended_by")
        assert {hold[name] for name in nothing} == {None}

    def test_a_debtor_may_be_named_by_its_reference(self, api: Api, portfolio: str, debtor: int) -> None:
        assert placed(api, portfolio=portfolio, external_ref="ACC-1")["debtor_id"] == debtor
        assert placed(api, portfolio=portfolio, debtor_id=debtor)["debtor_id"] == debtor

    def test_a_person_may_be_on_hold_before_a_debtor_has_its_reference(
        self, api: Api, portfolio: str, debtor: int
    ) -> None:
        hold = placed(api, portfolio=portfolio, person_ref="P-1")

        assert (hold["debtor_id"], hold["person_ref"], hold["active"]) == (None, "P-1", True)

    @pytest.mark.parametrize("kind", list(HoldKind))
    def test_every_kind_but_one_blocks_everything_by_default(self, api: Api, debtor: int, kind: HoldKind) -> None:
        hold = placed(api, debtor_id=debtor, kind=kind)

        assert hold["blocks"] == (["LEGAL_REVIEW"] if kind == HoldKind.TIME_BARRED else "all")

    def test_some_actions_are_shown_in_their_order_and_all_of_them_as_all(self, api: Api, debtor: int) -> None:
        some = placed(api, debtor_id=debtor, blocks=["LEGAL_REVIEW", "AGENT_CALL", "LEGAL_REVIEW"])
        every = placed(api, debtor_id=debtor, blocks=list(ACTIONS))
        barred = placed(api, debtor_id=debtor, kind="TIME_BARRED", blocks="all")

        assert [hold["blocks"] for hold in (some, every, barred)] == [["AGENT_CALL", "LEGAL_REVIEW"], "all", "all"]

    def test_instants_come_back_in_utc_and_say_whether_the_hold_is_in_force(self, api: Api, debtor: int) -> None:
        over = placed(api, debtor_id=debtor, **{"from": "2026-03-01T10:00:00+01:00", "until": "2026-03-02t09:00:00z"})
        future = placed(api, debtor_id=debtor, **{"from": from_now(days=1)})
        current = placed(api, debtor_id=debtor, **{"from": from_now(days=-1)}, until=from_now(days=1))

        assert (over["from"], over["until"]) == ("2026-03-01T09:00:00Z", "2026-03-02T09:00:00Z")
        assert [hold["active"] for hold in (over, future, current)] == [False, False, True]
        assert moment(current["recorded_at"]) > moment(current["from"])

    def test_dates_are_whole_days_of_the_portfolios_time_zone(self, api: Api, portfolio: str, debtor: int) -> None:
        days: dict[str, Any] = {"from": "2026-03-29", "until": "2026-03-29"}
        in_utc = placed(api, debtor_id=debtor, **days)
        in_zone(api, portfolio, "Europe/Berlin")
        in_berlin = placed(api, debtor_id=debtor, **days)
        in_zone(api, portfolio, "America/New_York")

        assert (in_utc["from"], in_utc["until"]) == ("2026-03-29T00:00:00Z", "2026-03-30T00:00:00Z")
        assert (in_berlin["from"], in_berlin["until"]) == ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")
        assert shown(api.get(f"/holds/{in_berlin['id']}")) == in_berlin

    def test_a_repeated_request_places_one_hold(self, api: Api, portfolio: str, debtor: int) -> None:
        body, headers = a_hold(debtor_id=debtor), {"Idempotency-Key": portfolio}

        first, again = (api.post("/holds", json=body, headers=headers) for _ in range(2))
        other = api.post("/holds", json=body | {"kind": "OTHER"}, headers=headers)

        assert (first.content, first.status_code) == (again.content, again.status_code)
        assert again.headers["idempotency-replayed"] == "true"
        assert fields_of(other, 422) == ["Idempotency-Key"]
        assert len(all_pages(api, "/holds", portfolio=portfolio)) == 1


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"kind": "GRUDGE"}, "kind"),
    ({"kind": None}, "kind"),
    ({"reason": None}, "reason"),
    ({"reason": ""}, "reason"),
    ({"reason": "  "}, "reason"),
    ({"reason": "one\ntwo"}, "reason"),
    ({"reason": "nul\x00"}, "reason"),
    ({"reason": "x" * 1_001}, "reason"),
    ({"source": "a\tb"}, "source"),
    ({"source": "x" * 201}, "source"),
    ({"blocks": "some"}, "blocks"),
    ({"blocks": []}, "blocks"),
    ({"blocks": 63}, "blocks"),
    ({"blocks": ["AGENT_CALL", "SHOUT"]}, "blocks.1"),
    ({"from": "2026-03-01T10:00:00"}, "from"),
    ({"from": "2026-02-30"}, "from"),
    ({"from": "2026-02-30T00:00:00Z"}, "from"),
    ({"from": "01/03/2026"}, "from"),
    ({"from": "2026-03-01T24:00:00Z"}, "from"),
    ({"from": "2026-03-01T10:00:60Z"}, "from"),
    ({"from": "20260301T100000Z"}, "from"),
    ({"from": "٢٠٢٦-٠٣-٠١"}, "from"),
    ({"from": 1_772_323_200}, "from"),
    ({"from": True}, "from"),
    ({"from": "0001-01-01"}, "from"),
    ({"from": "0001-01-01T00:00:00+14:00"}, "from"),
    ({"until": "2026-03-01 10:00"}, "until"),
    ({"until": "tomorrow"}, "until"),
    ({"until": "2020-01-01"}, "until"),
    ({"from": "2026-03-02", "until": "2026-03-01"}, "until"),
    ({"from": "2026-03-02", "until": "2026-03-02T00:00:00Z"}, "until"),
    ({"until": "9999-12-31"}, "until"),
    ({"debtor_id": "1"}, "debtor_id"),
    ({"debtor_id": 0}, "debtor_id"),
    ({"debtor_id": 2**63}, "debtor_id"),
    ({"person_ref": " P"}, "person_ref"),
    ({"unit": "person"}, "unit"),
]


class TestRefusing:
    @pytest.mark.parametrize(("changes", "field"), REFUSED, ids=str)
    def test_what_is_wrong_is_named_and_nothing_is_written(
        self, api: Api, debtor: int, changes: dict[str, Any], field: str
    ) -> None:
        before = row_counts(api.database)

        response = api.post("/holds", json=a_hold(**{"debtor_id": debtor} | changes))

        assert fields_of(response, 422) == [field]
        assert row_counts(api.database) == before

    @pytest.mark.parametrize(
        ("target", "status", "field"),
        [
            ({}, 422, "debtor_id"),
            ({"portfolio": "PORTFOLIO"}, 422, "debtor_id"),
            ({"portfolio": "PORTFOLIO", "external_ref": "ACC-1", "person_ref": "P-1"}, 422, "debtor_id"),
            ({"external_ref": "ACC-1"}, 422, "portfolio"),
            ({"person_ref": "P-1"}, 422, "portfolio"),
            ({"portfolio": "PORTFOLIO", "external_ref": "ACC-2"}, 404, "external_ref"),
            ({"portfolio": "never-heard-of", "person_ref": "P-1"}, 404, "portfolio"),
            ({"debtor_id": 2**53 - 1}, 404, "debtor_id"),
            ({"debtor_id": "DEBTOR", "portfolio": "never-heard-of"}, 404, "debtor_id"),
        ],
    )
    def test_a_hold_is_on_one_debtor_or_one_person(
        self, api: Api, portfolio: str, debtor: int, target: dict[str, Any], status: int, field: str
    ) -> None:
        known = {"PORTFOLIO": portfolio, "DEBTOR": debtor}
        body = a_hold(**{name: known.get(value, value) for name, value in target.items()})

        assert fields_of(api.post("/holds", json=body), status) == [field]
        with api.database.read() as connection:
            assert connection.execute(select(persons).where(persons.c.portfolio == portfolio)).first() is None
        assert all_pages(api, "/holds", portfolio=portfolio) == []
