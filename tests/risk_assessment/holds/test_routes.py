"""Holds over HTTP: placed on a debtor or a person, listed, read, ended once, and never rewritten."""

from typing import Any

import pytest
from sqlalchemy import delete, insert, select, update
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, row_counts
from tests.risk_assessment.holds.placing import a_hold, a_stored_debtor, from_now, moment, placed
from tests.risk_assessment.responses import HOLD, all_pages, created, fields_of, problem_of, shown

from recovery_core.holds import ACTIONS, HoldKind
from risk_assessment.tables import debtors, persons, portfolios, stops


@pytest.fixture
def debtor(api: Api, portfolio: str) -> int:
    return a_stored_debtor(api, portfolio, external_ref="ACC-1")


def noted(api: Api) -> set[int]:
    """The debtors that the debt service is to hear of."""
    with api.database.read() as connection:
        return set(connection.execute(select(stops.c.debtor_id)).scalars())


def forget_notes(api: Api) -> None:
    with api.database.write() as connection:
        connection.execute(delete(stops))


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


class TestEnding:
    def test_an_end_is_a_fact_of_its_own_and_the_hold_stays_as_it_was_placed(self, api: Api, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor, **{"from": from_now(days=-2)}, until=from_now(days=2))
        at = from_now(days=-1)

        ended = shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "Answered", "at": at}))

        assert moment(ended["ended_at"]) == moment(at)
        end = {"ended_at": ended["ended_at"], "end_reason": "Answered", "ended_by": hold["recorded_by"]}
        assert ended == hold | end | {"active": False}
        assert shown(api.get(f"/holds/{hold['id']}")) == ended

    def test_a_hold_ends_now_unless_a_moment_is_given(self, api: Api, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor)

        ended = shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "Answered"}))

        assert moment(ended["ended_at"]) >= moment(hold["from"])
        assert ended["active"] is False

    def test_a_hold_that_was_ended_is_not_ended_again(self, api: Api, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor)
        ended = shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "Answered"}))

        problem_of(api.post(f"/holds/{hold['id']}/end", json={"reason": "Again"}), 409)

        assert shown(api.get(f"/holds/{hold['id']}")) == ended

    def test_a_hold_may_end_the_moment_it_began_and_was_then_never_in_force(self, api: Api, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor, **{"from": "2026-03-01T00:00:00Z"})

        shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "A mistake", "at": hold["from"]}))

        found = all_pages(api, "/holds", debtor_id=debtor, active_at="2026-03-01T00:00:00Z")
        assert found == []

    @pytest.mark.parametrize("at", ["2026-02-28T23:59:59.999999Z", "3026-03-01T00:00:00Z", "2026-03-01", "soon", 5])
    def test_an_end_lies_between_the_start_and_now(self, api: Api, debtor: int, at: object) -> None:
        hold = placed(api, debtor_id=debtor, **{"from": "2026-03-01T00:00:00Z"})

        assert fields_of(api.post(f"/holds/{hold['id']}/end", json={"reason": "No", "at": at}), 422) == ["at"]
        assert shown(api.get(f"/holds/{hold['id']}")) == hold

    def test_a_hold_that_has_not_begun_cannot_be_ended(self, api: Api, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor, **{"from": from_now(days=1)})

        assert fields_of(api.post(f"/holds/{hold['id']}/end", json={"reason": "No"}), 422) == ["at"]

    @pytest.mark.parametrize("body", [{}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "x" * 1_001}])
    def test_an_end_needs_a_reason(self, api: Api, debtor: int, body: dict[str, Any]) -> None:
        hold = placed(api, debtor_id=debtor)

        assert fields_of(api.post(f"/holds/{hold['id']}/end", json=body), 422) == ["reason"]

    @pytest.mark.parametrize("call", [("GET", "/holds/no-such-hold"), ("POST", "/holds/no-such-hold/end")])
    def test_what_does_not_exist_is_not_found(self, api: Api, call: tuple[str, str]) -> None:
        method, path = call
        problem_of(api.request(method, path, **({"json": {"reason": "x"}} if method == "POST" else {})), 404)


class TestListing:
    @pytest.fixture
    def book(self, api: Api, portfolio: str, debtor: int) -> dict[str, dict[str, Any]]:
        """Holds by name, in the order in which they were recorded."""
        days: Any = lambda start, end: {"from": from_now(days=start), "until": end and from_now(days=end)}  # noqa: E731
        found = {
            "over": placed(api, debtor_id=debtor, **days(-5, -3)),
            "ended": placed(api, debtor_id=debtor, **days(-5, 5), kind="HARDSHIP"),
            "open": placed(api, debtor_id=debtor, **days(-5, None), kind="BANKRUPTCY"),
            "soon over": placed(api, debtor_id=a_stored_debtor(api, portfolio), **days(-1, 1)),
            "future": placed(api, portfolio=portfolio, person_ref="P-1", **days(5, 6)),
        }
        end = {"reason": "Paid", "at": from_now(days=-2)}
        shown(api.post(f"/holds/{found['ended']['id']}/end", json=end))
        return found

    @pytest.mark.parametrize(
        ("asked", "wanted"),
        [
            ({}, ["future", "soon over", "open", "ended", "over"]),
            ({"active": True}, ["soon over", "open"]),
            ({"active": False}, ["future", "ended", "over"]),
            ({"active_at": {"days": -4}}, ["open", "ended", "over"]),
            ({"active_at": {"days": -2.5}}, ["open", "ended"]),
            ({"active_at": {"days": 5.5}}, ["future", "open"]),
            ({"ends_before": {"days": 0}}, ["ended", "over"]),
            ({"ends_before": {"days": 2}, "active": True}, ["soon over"]),
            ({"kind": "DISPUTE"}, ["future", "soon over", "over"]),
            ({"kind": "BANKRUPTCY", "active": True}, ["open"]),
            ({"person_ref": "P-1"}, ["future"]),
            ({"person_ref": "P-2"}, []),
            ({"debtor_id": "DEBTOR"}, ["open", "ended", "over"]),
        ],
        ids=str,
    )
    def test_a_list_has_what_was_asked_for_the_last_recorded_first(
        self,
        api: Api,
        portfolio: str,
        debtor: int,
        book: dict[str, dict[str, Any]],
        asked: dict[str, Any],
        wanted: list[str],
    ) -> None:
        params = {name: from_now(**value) if isinstance(value, dict) else value for name, value in asked.items()}
        if "debtor_id" in params:
            params["debtor_id"] = debtor

        for limit in (1, 2, 100):
            found = all_pages(api, "/holds", portfolio=portfolio, limit=limit, **params)
            assert [hold["id"] for hold in found] == [book[name]["id"] for name in wanted]

    @pytest.mark.parametrize(
        ("params", "field"),
        [
            ({"person_ref": "P-1"}, "portfolio"),
            ({"active_at": "2026-03-01"}, "active_at"),
            ({"active_at": "2026-03-01T10:00:00"}, "active_at"),
            ({"ends_before": "0001-01-01T00:00:00+05:00"}, "ends_before"),
            ({"kind": "GRUDGE"}, "kind"),
            ({"debtor_id": 0}, "debtor_id"),
            ({"active": "maybe"}, "active"),
            ({"cursor": "x"}, "cursor"),
            ({"until": "2026-03-01"}, "until"),
        ],
        ids=str,
    )
    def test_what_is_wrong_is_named(self, api: Api, params: dict[str, Any], field: str) -> None:
        assert fields_of(api.get("/holds", params=params), 422) == [field]


class TestStops:
    def test_placing_and_ending_a_debtors_hold_is_noted_for_that_debtor(self, api: Api, debtor: int) -> None:
        forget_notes(api)
        hold = placed(api, debtor_id=debtor)
        assert noted(api) == {debtor}

        forget_notes(api)
        shown(api.post(f"/holds/{hold['id']}/end", json={"reason": "Answered"}))
        assert noted(api) == {debtor}

    def test_a_hold_that_was_refused_is_not_noted(self, api: Api, debtor: int) -> None:
        forget_notes(api)

        problem_of(api.post("/holds", json=a_hold(debtor_id=debtor, until="2020-01-01")), 422)

        assert noted(api) == set()

    def test_a_persons_hold_is_noted_for_each_of_its_debtors(self, api: Api, portfolio: str, debtor: int) -> None:
        first = placed(api, portfolio=portfolio, person_ref="P-1")
        other = a_stored_debtor(api, portfolio)
        make_one_person(api, portfolio, [debtor, other])
        a_stored_debtor(api, portfolio)

        for act in (
            lambda: placed(api, portfolio=portfolio, person_ref="P-1"),
            lambda: shown(api.post(f"/holds/{first['id']}/end", json={"reason": "Answered"})),
        ):
            forget_notes(api)
            act()
            assert noted(api) == {debtor, other}


def make_one_person(api: Api, portfolio: str, debtor_ids: list[int]) -> None:
    with api.database.write() as connection:
        person = connection.execute(select(persons.c.id).where(persons.c.portfolio == portfolio)).scalar_one()
        connection.execute(update(debtors).where(debtors.c.id.in_(debtor_ids)).values(person_id=person))
