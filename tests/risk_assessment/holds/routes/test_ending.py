"""The end of a hold is a fact of its own: recorded once, and the hold stays as it was placed."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.holds.placing import from_now, moment, placed
from tests.risk_assessment.responses import all_pages, fields_of, problem_of, shown


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

    def test_a_debtors_holds_follow_it_to_another_portfolio(self, api: Api, portfolio: str, debtor: int) -> None:
        hold = placed(api, debtor_id=debtor)

        shown(api.patch(f"/debtors/{debtor}", json={"portfolio": f"{portfolio}-b"}))

        assert shown(api.get(f"/holds/{hold['id']}")) == hold | {"portfolio": f"{portfolio}-b"}
        assert all_pages(api, "/holds", portfolio=portfolio) == []
        assert len(all_pages(api, "/holds", portfolio=f"{portfolio}-b")) == 1

    def test_of_several_who_end_a_hold_at_once_one_does(self, api: Api, debtor: int) -> None:
        hold, start = placed(api, debtor_id=debtor), Barrier(6)

        def end(number: int) -> int:
            start.wait()
            address = f"{api.url}/risk-service/holds/{hold['id']}/end"
            return httpx.post(address, json={"reason": f"Writer {number}"}, timeout=40).status_code

        with ThreadPoolExecutor(6) as pool:
            statuses = list(pool.map(end, range(6)))

        assert sorted(statuses) == [200] + [409] * 5
        assert shown(api.get(f"/holds/{hold['id']}"))["end_reason"] == f"Writer {statuses.index(200)}"

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
