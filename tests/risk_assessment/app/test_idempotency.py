"""A POST repeated with its Idempotency-Key has one effect and the first one's response, racing or not."""

import json
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import httpx
import pytest
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import NOON, a_debtor, add_debtor, row_counts
from tests.risk_assessment.responses import created, fields_of, problem_of, shown

from risk_assessment.metadata import IDEMPOTENCY
from service_kit.database.engine import Database
from service_kit.idempotency import IdempotencyKeyReusedError, StoredResponse

POSTS = {"/debtors": "debtors", "/scoring-jobs": "scoring_jobs", "/runs": "runs"}


@pytest.fixture
def portfolio(api: Api, portfolio: str) -> str:
    """A portfolio of this test alone, which exists because a debtor names it."""
    add_debtor(api.database, portfolio=portfolio, payment_status="PAID")
    return portfolio


def a_body(path: str, portfolio: str) -> dict[str, Any]:
    return a_debtor(portfolio=portfolio) if path == "/debtors" else {"portfolio": portfolio}


def a_key() -> dict[str, str]:
    return {"Idempotency-Key": f"key-{uuid.uuid4()}"}


@pytest.mark.parametrize("path", POSTS)
def test_a_repeat_gets_the_first_response_and_does_nothing(api: Api, portfolio: str, path: str) -> None:
    key, body = a_key(), a_body(path, portfolio)
    first = api.post(path, json=body, headers=key)
    created(first)
    before = row_counts(api.database)

    # The same JSON, written otherwise.
    text = json.dumps(dict(reversed(body.items())), indent=3)
    again = api.post(f"{path}/", content=text, headers=key | {"Content-Type": "application/json"})

    assert (again.status_code, again.content) == (first.status_code, first.content)
    assert again.headers["location"] == first.headers["location"]
    assert again.headers.get("etag") == first.headers.get("etag")
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert row_counts(api.database) == before


def test_a_replayed_response_is_a_read_of_personal_data(api: Api, portfolio: str) -> None:
    key, body = a_key(), a_body("/debtors", portfolio)
    debtor_id = api.post("/debtors", json=body, headers=key).json()["id"]

    again = api.post("/debtors", json=body, headers=key | {"X-Request-Id": f"again-{debtor_id}"})

    assert again.headers["idempotency-replayed"] == "true"
    lines = [json.loads(line) for line in api.log.read_text().splitlines() if f'"again-{debtor_id}"' in line]
    reads = [line for line in lines if line["event"] == "audit.read"]
    assert [(line["action"], line["subjects"]) for line in reads] == [("answer.repeated", [f"debtor:{debtor_id}"])]


@pytest.mark.parametrize("path", POSTS)
def test_another_body_under_the_same_key_is_refused(api: Api, portfolio: str, path: str) -> None:
    key = a_key()
    created(api.post(path, json=a_body(path, portfolio), headers=key))
    before = row_counts(api.database)

    refused = api.post(path, json=a_body(path, f"{portfolio}-2"), headers=key)

    assert fields_of(refused, 422) == ["Idempotency-Key"]
    assert row_counts(api.database) == before


@pytest.mark.parametrize("path", POSTS)
def test_ten_racing_repeats_have_one_effect(api: Api, portfolio: str, path: str) -> None:
    key, body, start = a_key(), a_body(path, portfolio), Barrier(10)
    before = row_counts(api.database)

    def post(_number: int) -> httpx.Response:
        start.wait()
        return httpx.post(f"{api.url}/risk-service{path}", json=body, headers=key, timeout=40)

    with ThreadPoolExecutor(10) as pool:
        responses = list(pool.map(post, range(10)))

    assert {response.status_code for response in responses} == {201 if path == "/debtors" else 202}
    assert len({response.content for response in responses}) == 1
    assert sum("idempotency-replayed" not in response.headers for response in responses) == 1
    table = POSTS[path]
    after = row_counts(api.database)
    assert after[table] == before[table] + 1
    assert after["idempotency_keys"] == before["idempotency_keys"] + 1


def test_a_key_belongs_to_one_endpoint(api: Api, portfolio: str) -> None:
    key = a_key()

    ids = {created(api.post(path, json=a_body(path, portfolio), headers=key))["id"] for path in POSTS}

    assert len(ids) == 3


def test_without_a_key_every_post_counts(api: Api, portfolio: str) -> None:
    ids = {created(api.post("/runs", json={"portfolio": portfolio}))["id"] for _ in range(3)}

    assert len(ids) == 3


def test_a_refusal_does_not_use_the_key_up(api: Api, portfolio: str) -> None:
    key, body = a_key(), a_debtor(portfolio=portfolio, external_ref="A")
    other = created(api.post("/debtors", json=body))["id"]
    problem_of(api.post("/debtors", json=body, headers=key), 409)
    problem_of(api.post("/debtors", json=body | {"name": ""}, headers=key), 422)
    assert api.delete(f"/debtors/{other}").status_code == 204

    debtor = created(api.post("/debtors", json=body, headers=key))

    assert shown(api.get(f"/debtors/{debtor['id']}")) == debtor


def responded(database: Database, key: str, request: Any = None, **when: float) -> tuple[StoredResponse, bool]:
    acted = []

    def act() -> StoredResponse:
        acted.append(1)
        return StoredResponse(202, b"body", {"Location": "/here"})

    now = NOON + timedelta(**when)
    response = database.transact(lambda c: IDEMPOTENCY.once(c, "POST things", key, request, now, act))
    return response, bool(acted)


def test_responses_are_deleted_after_a_day(database: Database) -> None:
    responded(database, "old")
    responded(database, "young", hours=2)

    database.transact(lambda c: IDEMPOTENCY.delete_expired(c, NOON + timedelta(hours=25)))

    assert responded(database, "old", hours=25)[1]
    assert not responded(database, "young", hours=25)[1]
    with database.read() as connection:
        assert not IDEMPOTENCY.any_expired(connection, NOON + timedelta(hours=25))
        assert IDEMPOTENCY.any_expired(connection, NOON + timedelta(hours=50))


def test_keys_differ_by_case_and_by_request(database: Database) -> None:
    responded(database, "key")

    assert responded(database, "KEY")[1]
    with pytest.raises(IdempotencyKeyReusedError):
        responded(database, "key", [])
    replayed, acted = responded(database, "key")
    assert (replayed, acted) == (StoredResponse(202, b"body", {"Location": "/here"}, replayed=True), False)
