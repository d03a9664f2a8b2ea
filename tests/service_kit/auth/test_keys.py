"""API keys over real sockets and both databases: shown once, stored as a hash, rejected soon after their revocation."""

import hmac
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select
from tests.support.guarded_api import api_keys, audit_records, create_app, metadata
from tests.support.moments import NOW, Clock
from tests.support.serving import serving

from service_kit.audit import Audit, Caller
from service_kit.auth import keys
from service_kit.auth.access import Access
from service_kit.auth.identity import Role
from service_kit.auth.keys import CACHE_SECONDS, KeyAuthenticator, KeyRefusedError
from service_kit.database.engine import Database

ANN = Audit(audit_records, Caller("cli:ann", "admin"), NOW)
Issue = Callable[..., str]


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """An empty database with the tables of the guarded API, once on each kind."""
    yield from opened(database_url)


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    yield from opened(sqlite_url)


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


def issue(database: Database, name: str = "nightly", role: str = "viewer") -> str:
    token = keys.new_token()
    keys.issue(database, api_keys, ANN, name, role, token)
    return token


@pytest.fixture
def api(database: Database, clock: Clock) -> Iterator[httpx.Client]:
    with serving(create_app(Access(KeyAuthenticator(lambda: database, api_keys, clock)), database)) as client:
        yield client


def status(api: httpx.Client, token: str, method: str = "GET", path: str = "/demo/things") -> int:
    return api.request(method, path, headers={"Authorization": f"Bearer {token}"}).status_code


def test_a_key_opens_what_its_role_opens(api: httpx.Client, database: Database) -> None:
    token = issue(database, role="operator")

    assert status(api, token) == 200
    assert status(api, token, "DELETE", "/demo/keys") == 403


def test_the_actor_is_the_key_by_its_name(api: httpx.Client, database: Database) -> None:
    response = api.get("/demo/things", headers={"Authorization": f"Bearer {issue(database, 'nightly-run')}"})

    assert response.json()["actor"] == "key:nightly-run"


def test_keys_are_long_random_and_recognisable() -> None:
    made = {keys.new_token() for _ in range(100)}

    assert len(made) == 100
    assert all(re.fullmatch(r"srk_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", token) for token in made)  # 43 characters: 256 bits


@pytest.mark.parametrize(
    "forge",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token + "A",
        lambda token: token[:-1],
        lambda token: token.replace("srk_", "srx_"),
        lambda token: "srk_000000000000" + token[16:],
        lambda token: token.upper(),
        lambda token: token[:16],
        lambda token: "srk__",
        lambda token: "' OR 1=1 --",
    ],
)
def test_anything_but_the_exact_key_is_rejected(
    api: httpx.Client, database: Database, forge: Callable[[str], str]
) -> None:
    assert status(api, forge(issue(database))) == 401


def test_a_revoked_key_stops_working_within_seconds(api: httpx.Client, database: Database, clock: Clock) -> None:
    token = issue(database)
    assert status(api, token) == 200

    keys.revoke(database, api_keys, ANN, "nightly")
    clock.forward(CACHE_SECONDS)

    assert CACHE_SECONDS <= 5
    assert status(api, token) == 401


def test_a_key_is_read_once_for_many_requests(api: httpx.Client, database: Database, clock: Clock) -> None:
    token = issue(database)
    asked: list[float] = []
    authenticator = KeyAuthenticator(lambda: asked.append(clock()) or database, api_keys, clock)  # type: ignore[func-returns-value]
    with serving(create_app(Access(authenticator), database)) as other:
        assert [status(other, token) for _ in range(20)] == [200] * 20
        assert len(asked) == 1
        clock.forward(CACHE_SECONDS)
        assert status(other, token) == 200
        assert len(asked) == 2


def test_the_secret_is_checked_even_while_the_key_is_cached(api: httpx.Client, database: Database) -> None:
    token = issue(database)

    assert status(api, token) == 200
    assert status(api, token[:-1] + ("A" if token[-1] != "A" else "B")) == 401


def test_hashes_are_compared_in_constant_time(
    api: httpx.Client, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[Any, Any]] = []
    real = hmac.compare_digest
    monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))  # type: ignore[func-returns-value]
    token = issue(database)

    status(api, token)
    status(api, "srk_000000000000" + token[16:])  # a key that does not exist

    assert len(compared) == 2
    assert all(len(a) == len(b) == 64 for a, b in compared)


def test_the_database_holds_no_secret(sqlite: Database, tmp_path: Path) -> None:
    token = issue(sqlite)
    sqlite.dispose()

    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())

    assert token[4:16].encode() in content  # the id, which proves that the search would find the secret
    assert token[17:].encode() not in content


def test_creating_and_revoking_leave_audit_records(database: Database) -> None:
    token = issue(database, "nightly", "operator")
    keys.revoke(database, api_keys, ANN, token[4:16])
    keys.revoke(database, api_keys, ANN, token[4:16])  # changes nothing, so it leaves no record

    with database.read() as connection:
        rows = connection.execute(select(audit_records).order_by(audit_records.c.id)).all()
    assert [(row.action, row.subject, row.actor) for row in rows] == [
        ("key.created", f"key:{token[4:16]}", "cli:ann"),
        ("key.revoked", f"key:{token[4:16]}", "cli:ann"),
    ]
    assert not any(token[17:] in str(row) for row in rows)


def test_a_name_belongs_to_one_key_for_ever(database: Database) -> None:
    issue(database)
    keys.revoke(database, api_keys, ANN, "nightly")

    with pytest.raises(KeyRefusedError, match="nightly"):
        issue(database)


def test_of_eight_requests_for_one_name_one_gets_it(database: Database) -> None:
    def attempt(_: int) -> bool:
        try:
            issue(database)
        except KeyRefusedError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


@pytest.mark.parametrize("name", ["", "x" * 65, "a b", "-x", "ä", "a\nb", "<b>"])
def test_a_name_that_could_break_a_list_is_rejected(sqlite: Database, name: str) -> None:
    with pytest.raises(KeyRefusedError, match="name"):
        issue(sqlite, name)


@pytest.mark.parametrize("role", ["", "root", "Viewer", "VIEWER"])
def test_an_unknown_role_is_rejected_with_the_known_ones(sqlite: Database, role: str) -> None:
    with pytest.raises(KeyRefusedError, match="viewer, operator, approver, admin"):
        issue(sqlite, role=role)


@pytest.mark.parametrize("token", ["", "secret", "srk_abc_def"])
def test_a_key_of_another_system_is_rejected(sqlite: Database, token: str) -> None:
    with pytest.raises(KeyRefusedError, match="create-key"):
        keys.issue(sqlite, api_keys, ANN, "nightly", "viewer", token)


def test_one_key_can_open_two_services(sqlite: Database, tmp_path: Path) -> None:
    token = issue(sqlite)
    for other in opened(f"sqlite:///{tmp_path / 'other.db'}"):
        keys.issue(other, api_keys, ANN, "nightly", "operator", token)
        assert keys.list_keys(other, api_keys)[0]["id"] == token[4:16]


def test_the_list_shows_no_hashes(database: Database) -> None:
    issue(database, "a", "viewer")
    issue(database, "b", "admin")
    keys.revoke(database, api_keys, ANN, "a")

    shown = keys.list_keys(database, api_keys)

    assert [
        (key["name"], key["role"], key["created_at"], key["revoked_at"])
        for key in sorted(shown, key=lambda k: k["name"])
    ] == [
        ("a", "viewer", NOW, NOW),
        ("b", "admin", NOW, None),
    ]
    assert set(shown[0]) == {"id", "name", "role", "created_at", "revoked_at", "portfolios"}


def test_a_missing_key_cannot_be_revoked(database: Database) -> None:
    with pytest.raises(KeyRefusedError, match="'missing'"):
        keys.revoke(database, api_keys, ANN, "missing")


def test_an_id_wins_over_the_same_name_of_another_key(database: Database) -> None:
    first = issue(database, "first")
    issue(database, first[4:16])

    assert keys.revoke(database, api_keys, ANN, first[4:16]) == "first"


def test_every_role_can_be_given(database: Database, api: httpx.Client) -> None:
    for role in Role:
        response = api.get("/demo/things", headers={"Authorization": f"Bearer {issue(database, f'n-{role}', role)}"})
        assert response.json()["role"] == role


def test_a_database_that_is_away_is_a_503_and_not_a_401(database: Database, clock: Clock) -> None:
    token = keys.new_token()
    away = Database("mysql+pymysql://root@127.0.0.1:1/x")
    with serving(create_app(Access(KeyAuthenticator(lambda: away, api_keys, clock)), database)) as api:
        response = api.get("/demo/things", headers={"Authorization": f"Bearer {token}"})

    assert response.status_code == 503
    assert response.json()["detail"] == "the database cannot be reached"
    assert int(response.headers["retry-after"]) > 0


def test_a_cached_key_works_while_the_database_is_away(database: Database, clock: Clock) -> None:
    token = issue(database)
    here = [database]
    with serving(create_app(Access(KeyAuthenticator(lambda: here[0], api_keys, clock)), database)) as api:
        assert status(api, token) == 200
        here[0] = Database("mysql+pymysql://root@127.0.0.1:1/x")
        assert status(api, token) == 200
        clock.forward(CACHE_SECONDS)
        assert status(api, token) == 503


def test_the_cache_of_keys_is_bounded(sqlite: Database, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "MAX_CACHED", 3)
    authenticator = KeyAuthenticator(lambda: sqlite, api_keys, clock)
    tokens = [issue(sqlite, f"key-{n}") for n in range(5)]
    with serving(create_app(Access(authenticator), sqlite)) as api:
        assert [status(api, token) for token in tokens * 2] == [200] * 10

    assert len(authenticator._cache) <= 3
