"""Fifty writers at once lose no update and wait for each other instead of failing."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.responses import all_pages, created, shown

WRITERS = 50
CHANGES: list[dict[str, Any]] = [
    {"name": "Bo"},
    {"late_payments_count": 9},
    {"employment_status": "STUDENT"},
    {"contract_type": "FREELANCE"},
    {"industry_sector": "RETAIL"},
    {"family_situation": "SINGLE_NO_DEPENDENTS"},
    {"payment_status": "PARTIAL"},
    {"total_debt_amount": "123.45"},
    {"monthly_income": "67.89"},
    {"external_ref": "NEW"},
]


def at_once(count: int, act: Any) -> list[Any]:
    """Act in so many threads, all starting together."""
    start = Barrier(count)

    def wait_and_act(number: int) -> Any:
        start.wait()
        return act(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(wait_and_act, range(count)))


@pytest.fixture
def debtor(api: Api, portfolio: str) -> str:
    return f"{api.url}/risk-service/debtors/{created(api.post('/debtors', json=a_debtor(portfolio=portfolio)))['id']}"


def test_fifty_writers_of_different_fields_all_get_theirs(api: Api, debtor: str) -> None:
    def write(number: int) -> tuple[int, int]:
        response = httpx.patch(debtor, json=CHANGES[number % len(CHANGES)], timeout=40)
        return response.status_code, response.json().get("version")

    responses = at_once(WRITERS, write)

    assert Counter(status for status, _ in responses) == {200: WRITERS}
    assert sorted(version for _, version in responses) == list(range(2, WRITERS + 2))
    final = shown(api.get(debtor))
    assert final["version"] == WRITERS + 1
    for change in CHANGES:
        assert final | change == final
    history = all_pages(api, f"{debtor}/assessments", limit=500)
    assert [entry["version"] for entry in history] == list(range(WRITERS + 1, 0, -1))
    assert history[0]["total_score"] == final["assessment"]["total_score"]


def test_of_fifty_writers_who_saw_the_same_version_one_wins(api: Api, debtor: str) -> None:
    def write(number: int) -> int:
        return httpx.patch(
            debtor, json={"late_payments_count": number}, headers={"If-Match": '"1"'}, timeout=40
        ).status_code

    statuses = at_once(WRITERS, write)

    assert Counter(statuses) == {200: 1, 412: WRITERS - 1}
    final = shown(api.get(debtor))
    assert (final["version"], final["late_payments_count"]) == (2, statuses.index(200))


def test_writers_who_read_again_when_they_were_late_lose_no_update(api: Api, debtor: str) -> None:
    shown(api.patch(debtor, json={"late_payments_count": 0}))

    def count_up(_number: int) -> int:
        with httpx.Client(timeout=40) as client:
            for attempt in range(1, 100):
                seen = client.get(debtor)
                one_more = {"late_payments_count": seen.json()["late_payments_count"] + 1}
                response = client.patch(debtor, json=one_more, headers={"If-Match": seen.headers["etag"]})
                if response.status_code == 200:
                    return attempt
                assert response.status_code == 412
        raise AssertionError("never in time")

    attempts = at_once(12, count_up)

    assert shown(api.get(debtor))["late_payments_count"] == 12
    assert len(attempts) == 12


def test_racing_creators_of_one_reference_make_one_debtor(api: Api, portfolio: str) -> None:
    body = a_debtor(portfolio=portfolio, external_ref="A")

    statuses = at_once(10, lambda _: httpx.post(f"{api.url}/risk-service/debtors", json=body, timeout=40).status_code)

    assert Counter(statuses) == {201: 1, 409: 9}
    assert len(all_pages(api, "/debtors", portfolio=portfolio)) == 1


def test_readers_and_writers_at_once_are_all_served(api: Api, debtor: str, portfolio: str) -> None:
    def act(number: int) -> int:
        if number % 2:
            return httpx.patch(debtor, json={"name": f"Writer {number}"}, timeout=40).status_code
        return httpx.get(f"{api.url}/risk-service/debtors", params={"portfolio": portfolio}, timeout=40).status_code

    assert Counter(at_once(80, act)) == {200: 80}
