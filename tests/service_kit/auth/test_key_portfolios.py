"""Keys that are bound to portfolios, over real sockets and both databases."""

import json
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import select
from tests.support.guarded_api import api_keys, audit_records, create_app, metadata
from tests.support.moments import NOW, Clock
from tests.support.serving import serving

from service_kit.audit import Audit, Caller
from service_kit.auth import keys
from service_kit.auth.access import Access
from service_kit.auth.keys import KeyAuthenticator
from service_kit.auth.portfolios import MAX_PORTFOLIOS, WrongPortfoliosError
from service_kit.database.engine import Database

ANN = Audit(audit_records, Caller("cli:ann", "admin"), NOW)


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    yield from opened(database_url)


@pytest.fixture
def sqlite(sqlite_url: str) -> Iterator[Database]:
    yield from opened(sqlite_url)


def opened(url: str) -> Iterator[Database]:
    database = Database(url)
    metadata.create_all(database.engine)
    yield database
    database.dispose()


@pytest.fixture
def api(database: Database, clock: Clock) -> Iterator[httpx.Client]:
    with serving(create_app(Access(KeyAuthenticator(lambda: database, api_keys, clock)), database)) as client:
        yield client


def issue(database: Database, name: str, role: str, *bound_to: str) -> str:
    token = keys.new_token()
    keys.issue(database, api_keys, ANN, name, role, token, bound_to)
    return token


def ask(api: httpx.Client, token: str, method: str = "GET") -> httpx.Response:
    return api.request(method, "/demo/things", headers={"Authorization": f"Bearer {token}"})


def test_a_key_is_for_the_portfolios_it_is_bound_to_or_for_all(api: httpx.Client, database: Database) -> None:
    bound, free = issue(database, "a", "viewer", "bolt", "acme", "bolt"), issue(database, "b", "viewer")

    assert ask(api, bound).headers["x-portfolios"] == "acme,bolt"
    assert ask(api, free).headers["x-portfolios"] == "all"


def test_a_route_that_does_not_say_where_its_portfolio_comes_from_refuses_a_bound_key(
    api: httpx.Client, database: Database
) -> None:
    bound, free = issue(database, "a", "operator", "acme"), issue(database, "b", "operator")

    assert ask(api, free, "PUT").status_code == 200
    response = ask(api, bound, "PUT")
    assert (response.status_code, response.json()["detail"]) == (
        403,
        "this is about all portfolios; you are bound to some",
    )


def test_the_list_and_the_audit_show_the_binding(database: Database) -> None:
    issue(database, "a", "viewer", "bolt", "acme")
    issue(database, "b", "viewer")

    assert {key["name"]: key["portfolios"] for key in keys.list_keys(database, api_keys)} == {
        "a": ["acme", "bolt"],
        "b": None,
    }
    with database.read() as connection:
        details = connection.execute(select(audit_records.c.detail).order_by(audit_records.c.id)).scalars().all()
    assert [json.loads(detail).get("portfolios") for detail in details] == [["acme", "bolt"], None]


@pytest.mark.parametrize("name", ["", "*", "a b", "-a", "ä", "x" * 65, "a\n"])
def test_what_no_portfolio_can_be_called_binds_no_key(sqlite: Database, name: str) -> None:
    with pytest.raises(WrongPortfoliosError, match="portfolio"):
        issue(sqlite, "a", "viewer", name)
    assert keys.list_keys(sqlite, api_keys) == []


def test_a_key_is_bound_to_a_hundred_portfolios_at_most(sqlite: Database) -> None:
    issue(sqlite, "a", "viewer", *(f"p{n}" for n in range(MAX_PORTFOLIOS)))
    with pytest.raises(WrongPortfoliosError, match="at most 100"):
        issue(sqlite, "b", "viewer", *(f"p{n}" for n in range(MAX_PORTFOLIOS + 1)))
