"""Lists of holds: what was asked for, the last recorded first."""

from typing import Any

import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.holds.placing import a_stored_debtor, from_now, placed
from tests.risk_assessment.responses import all_pages, fields_of, shown


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
