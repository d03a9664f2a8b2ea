"""Idempotency keys on both databases: one effect for each key, whose response is given again."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import Connection, MetaData
from tests.support.moments import NOW

from service_kit.database.engine import Database
from service_kit.idempotency import (
    KEPT_FOR,
    IdempotencyKeyReusedError,
    IdempotencyKeys,
    StoredResponse,
    idempotency_keys_table,
)

metadata = MetaData()
keys = IdempotencyKeys(idempotency_keys_table(metadata))

REQUEST = {"title": "Emma", "copies": [1, 2.5, None]}
RESPONSE = StoredResponse(201, "größe".encode(), {"Location": "/books/7"})


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


class Effect:
    """Counts how often it happened."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> StoredResponse:
        self.times += 1
        return RESPONSE


def once(
    database: Database,
    act: Callable[[], StoredResponse],
    request: Any = REQUEST,
    key: str | None = "k",
    scope: str = "s",
) -> StoredResponse:
    return database.transact(lambda connection: keys.once(connection, scope, key, request, NOW, act))


def replayed(response: StoredResponse) -> StoredResponse:
    return StoredResponse(response.status, response.body, response.headers, replayed=True)


def test_a_repeat_gets_the_first_response_byte_for_byte_and_has_no_effect(database: Database) -> None:
    effect = Effect()

    assert once(database, effect) == RESPONSE
    assert [once(database, effect) for _ in range(2)] == [replayed(RESPONSE)] * 2

    assert effect.times == 1


def test_the_same_json_in_another_order_is_the_same_request(database: Database) -> None:
    effect = Effect()
    once(database, effect)

    assert once(database, effect, request=dict(reversed(REQUEST.items()))).replayed


@pytest.mark.parametrize("other", [{"title": "Emma"}, {**REQUEST, "more": None}, [], None, "Emma"])
def test_another_request_under_the_same_key_is_rejected(database: Database, other: object) -> None:
    effect = Effect()
    once(database, effect)

    with pytest.raises(IdempotencyKeyReusedError):
        once(database, effect, request=other)

    assert effect.times == 1


def test_other_keys_other_scopes_and_no_key_are_effects_of_their_own(database: Database) -> None:
    effect = Effect()

    found = [
        once(database, effect, key=key, scope=scope)
        for key, scope in [("k", "s"), ("K", "s"), ("k", "t"), (None, "s"), (None, "s")]
    ]

    assert found == [RESPONSE] * 5
    assert effect.times == 5


def test_an_effect_that_fails_does_not_use_its_key(database: Database) -> None:
    def fail() -> StoredResponse:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        once(database, fail)

    assert once(database, Effect()) == RESPONSE


def test_of_racing_repeats_one_has_the_effect_and_all_get_its_response(database: Database) -> None:
    effect, start = Effect(), Barrier(6)

    def race(_: int) -> StoredResponse:
        start.wait()
        return once(database, effect)

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(race, range(6)))

    assert effect.times == 1
    assert sorted(response.replayed for response in found) == [False] + [True] * 5


def test_responses_expire_after_a_day(database: Database) -> None:
    effect = Effect()
    once(database, effect)

    def expired(at: timedelta) -> bool:
        with database.read() as connection:
            return keys.any_expired(connection, NOW + at)

    assert [expired(KEPT_FOR), expired(KEPT_FOR + timedelta(seconds=1))] == [False, True]
    database.transact(_delete(KEPT_FOR))
    assert once(database, effect).replayed

    database.transact(_delete(KEPT_FOR + timedelta(seconds=1)))
    assert once(database, effect) == RESPONSE


def _delete(after: timedelta) -> Callable[[Connection], None]:
    return lambda connection: keys.delete_expired(connection, NOW + after)
