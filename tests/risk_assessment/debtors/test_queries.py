"""Lists of debtors: filters, both orders, and pages that lose and repeat no debtor while others write."""

import base64
import json
import random
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from tests.risk_assessment import independent
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import (
    a_debtor,
    a_registry,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
)
from tests.risk_assessment.responses import DEBTOR, all_pages, created, fields_of, shown


@pytest.fixture(scope="module")
def book(api: Api) -> str:
    """A portfolio that no test changes."""
    generate_debtors(api.database, 60, portfolio="book")
    return "book"


def ids(items: list[dict[str, Any]]) -> list[int]:
    return [item["id"] for item in items]


def best_first(rows: list[dict[str, Any]]) -> list[int]:
    """Ids in order of priority, computed from the facts alone."""
    return ids(sorted(rows, key=lambda row: (-independent.priority(row), row["id"])))


def test_a_list_shows_debtors_as_they_are_read_one_by_one(api: Api, portfolio: str) -> None:
    rows = generate_debtors(api.database, 3, portfolio=portfolio)

    page = shown(api.get("/debtors", params={"portfolio": portfolio}))

    assert page["next_cursor"] is None
    assert [set(item) for item in page["items"]] == [DEBTOR] * 3
    assert page["items"] == [shown(api.get(f"/debtors/{row['id']}")) for row in rows]


@pytest.mark.parametrize("limit", [7, 59, 60, 61, 500])
@pytest.mark.parametrize("sort", ["id", "priority"])
def test_pages_walk_the_whole_portfolio_in_order(api: Api, book: str, sort: str, limit: int) -> None:
    rows = debtor_rows(api.database, book)

    walked = ids(all_pages(api, "/debtors", portfolio=book, sort=sort, limit=limit))

    assert walked == (sorted(ids(rows)) if sort == "id" else best_first(rows))


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_equal_priorities_are_in_the_order_of_their_ids(api: Api, portfolio: str, limit: int) -> None:
    made = [created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))["id"] for _ in range(7)]

    assert ids(all_pages(api, "/debtors", portfolio=portfolio, sort="priority", limit=limit)) == made


def test_equal_priorities_are_in_that_order_over_all_portfolios(api: Api, portfolio: str) -> None:
    made = [created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))["id"] for _ in range(5)]

    everything = ids(all_pages(api, "/debtors", sort="priority", limit=3))

    assert [debtor_id for debtor_id in everything if debtor_id in made] == made


@pytest.mark.parametrize("sort", ["id", "priority"])
def test_pages_lose_and_repeat_no_debtor_while_rows_are_inserted(api: Api, portfolio: str, sort: str) -> None:
    before = ids(generate_debtors(api.database, 40, portfolio=portfolio))
    walked: list[int] = []
    cursor: str | None = None
    chance = random.Random(7)
    while True:
        page = shown(
            api.get("/debtors", params={"portfolio": portfolio, "sort": sort, "limit": 6} | after(cursor)),
        )
        walked += ids(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
        debt = chance.randint(1_00, 10_000_00)
        created(api.post("/debtors", json=a_debtor(portfolio=portfolio, total_debt_amount=independent.money(debt))))

    assert len(walked) == len(set(walked))
    assert set(before) <= set(walked)


@pytest.mark.parametrize("path", ["/debtors?sort=priority", "/debtors/high-risk", "/debtors?sort=id"])
@pytest.mark.parametrize("everywhere", [False, True])
def test_pages_lose_and_repeat_no_debtor_that_stays_the_same_while_others_change(
    api: Api, portfolio: str, path: str, everywhere: bool
) -> None:
    registry, chance = a_registry(), random.Random(7)
    risky = {"late_payments_count": 9, "employment_status": "UNEMPLOYED", "contract_type": "FREELANCE"}
    made = [
        add_debtor(api.database, registry, portfolio=portfolio, **risky, total_debt_amount=f"{50_000 + number}.00")
        for number in range(40)
    ]
    changing, staying = set(made[::3]), set(made) - set(made[::3])
    scope = {"limit": "60"} if everywhere else {"limit": "6", "portfolio": portfolio}
    walked: list[int] = []
    cursor: str | None = None
    while True:
        page = shown(api.get(path, params=scope | after(cursor) | sorted_as(path)))
        walked += ids(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            break
        for debtor_id in chance.sample(sorted(changing), 4):
            change_debtor(api.database, debtor_id, registry, total_debt_amount=chance.randint(45_000_00, 55_000_00))

    # Who was in front and falls behind the page comes again; who rises from behind to the front is missed.
    counts = Counter(walked)
    assert {debtor_id: counts[debtor_id] for debtor_id in staying} == dict.fromkeys(staying, 1)
    if "sort=id" in path:
        assert {debtor_id: counts[debtor_id] for debtor_id in made} == dict.fromkeys(made, 1)


def sorted_as(path: str) -> dict[str, str]:
    """httpx drops the query of an address when it is given parameters."""
    return {"sort": path.partition("sort=")[2]} if "sort=" in path else {}


def after(cursor: str | None) -> dict[str, str]:
    return {"cursor": cursor} if cursor else {}


@pytest.mark.usefixtures("book")
def test_the_whole_book_is_listed_by_priority_over_all_portfolios(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 20, seed=2, portfolio=portfolio)

    walked = ids(all_pages(api, "/debtors", sort="priority", limit=77))

    assert walked == best_first(debtor_rows(api.database))


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({"risk_level": "HIGH"}, lambda row: row["risk_level"] == "HIGH"),
    ({"risk_level": ["LOW", "CRITICAL"]}, lambda row: row["risk_level"] in ("LOW", "CRITICAL")),
    ({"risk_level": ["LOW", "LOW"]}, lambda row: row["risk_level"] == "LOW"),
    ({"payment_status": "PAID"}, lambda row: row["payment_status"] == "PAID"),
    ({"min_debt": "9000.00"}, lambda row: row["total_debt_amount"] >= 900_000),
    ({"max_debt": "9000.00"}, lambda row: row["total_debt_amount"] <= 900_000),
    (
        {"min_debt": 2000, "max_debt": "20000", "payment_status": "UNPAID", "risk_level": "MEDIUM"},
        lambda row: (
            200_000 <= row["total_debt_amount"] <= 2_000_000
            and (row["payment_status"], row["risk_level"]) == ("UNPAID", "MEDIUM")
        ),
    ),
]


@pytest.mark.parametrize(("filters", "wanted"), FILTERS, ids=[str(filters) for filters, _ in FILTERS])
@pytest.mark.parametrize("sort", ["id", "priority"])
def test_a_filter_shows_all_it_names_and_no_others(
    api: Api, book: str, filters: dict[str, Any], wanted: Any, sort: str
) -> None:
    everyone = debtor_rows(api.database)
    for scope in ({}, {"portfolio": book}):
        rows = [row for row in everyone if wanted(row) and row["portfolio"] == scope.get("portfolio", row["portfolio"])]

        walked = ids(all_pages(api, "/debtors", **scope, **filters, sort=sort, limit=500))

        assert rows
        assert walked == (sorted(ids(rows)) if sort == "id" else best_first(rows))


def test_a_debt_range_includes_its_ends(api: Api, portfolio: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio, total_debt_amount="100.01")))
    scope = {"portfolio": portfolio}

    assert ids(all_pages(api, "/debtors", **scope, min_debt="100.01", max_debt="100.01")) == [one["id"]]
    assert all_pages(api, "/debtors", **scope, min_debt="100.02") == []
    assert all_pages(api, "/debtors", **scope, max_debt="100.00") == []


@pytest.mark.parametrize("everywhere", [False, True])
def test_high_risk_shows_high_and_critical_best_first(api: Api, book: str, everywhere: bool) -> None:
    scope = {} if everywhere else {"portfolio": book}

    items = all_pages(api, "/debtors/high-risk", **scope, limit=19)

    rows = [
        row for row in debtor_rows(api.database, scope.get("portfolio")) if row["risk_level"] in ("HIGH", "CRITICAL")
    ]
    assert ids(items) == best_first(rows)
    assert {item["assessment"]["risk_level"] for item in items} == {"HIGH", "CRITICAL"}
    for better, worse in pairwise(items):
        assert float(better["priority"]) >= float(worse["priority"])


def test_a_debtor_is_looked_up_by_its_external_reference(api: Api, portfolio: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="ACC-1 é%_")))
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="acc-1 é%_")))
    created(api.post("/debtors", json=a_debtor(portfolio=f"{portfolio}-2", external_ref="ACC-1 é%_")))
    wanted = {"portfolio": portfolio, "external_ref": "ACC-1 é%_"}
    found = {"items": [one], "next_cursor": None}

    assert shown(api.get("/debtors", params=wanted)) == found
    assert shown(api.get("/debtors", params=wanted | {"sort": "priority", "limit": 1})) == found
    assert shown(api.get("/debtors", params=wanted | {"payment_status": "UNPAID"})) == found
    nothing = {"items": [], "next_cursor": None}
    assert shown(api.get("/debtors", params=wanted | {"payment_status": "PAID"})) == nothing
    assert shown(api.get("/debtors", params=wanted | {"risk_level": "CRITICAL"})) == nothing
    assert shown(api.get("/debtors", params=wanted | {"external_ref": "ACC-1"})) == nothing


def test_a_reference_is_looked_up_in_one_portfolio_and_in_one_page(api: Api, portfolio: str) -> None:
    assert fields_of(api.get("/debtors", params={"external_ref": "A"}), 422) == ["portfolio"]
    wanted = {"portfolio": portfolio, "external_ref": "A", "cursor": cursor_of([1])}
    assert fields_of(api.get("/debtors", params=wanted), 422) == ["cursor"]


def test_a_portfolio_without_debtors_is_an_empty_page(api: Api, portfolio: str) -> None:
    for path in ("/debtors", "/debtors/high-risk", "/debtors?sort=priority"):
        page = shown(api.get(path, params={"portfolio": portfolio} | ({"sort": "priority"} if "?" in path else {})))
        assert page == {"items": [], "next_cursor": None}


def cursor_of(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


BAD_QUERIES = [
    ("limit", "0"),
    ("limit", "501"),
    ("limit", "-1"),
    ("limit", "ten"),
    ("limit", "1.5"),
    ("limit", str(2**63)),
    ("sort", "name"),
    ("sort", ""),
    ("risk_level", "EXTREME"),
    ("risk_level", "high"),
    ("payment_status", "MAYBE"),
    ("portfolio", "a b"),
    ("portfolio", ""),
    ("portfolio", "é"),
    ("min_debt", "-1"),
    ("min_debt", "1.234"),
    ("max_debt", "NaN"),
    ("max_debt", "Infinity"),
    ("max_debt", "1e3"),
    ("min_score", "-1"),
    ("min_score", "1.5"),
    ("max_score", "1000001"),
    ("max_score", "many"),
    ("cursor", "%%%"),
    ("cursor", "é"),
    ("cursor", ""),
    ("cursor", "a" * 2_000),
    ("cursor", cursor_of([1, 2])),
    ("cursor", cursor_of(["1"])),
    ("cursor", cursor_of([True])),
    ("cursor", cursor_of([2**63])),
    ("cursor", cursor_of([1.0])),
    ("cursor", cursor_of({"id": 1})),
    ("cursor", cursor_of(1)),
    ("external_ref", ""),
    ("external_ref", " A"),
    ("external_ref", "a" * 129),
    ("payment_staus", "PAID"),
    ("Portfolio", "default"),
]


@pytest.mark.parametrize(("field", "value"), BAD_QUERIES)
def test_a_bad_query_is_refused_by_name(api: Api, field: str, value: str) -> None:
    [named] = fields_of(api.get("/debtors", params={field: value}), 422)
    assert named.removesuffix(".0") == field


@pytest.mark.parametrize("path", ["/debtors/high-risk", "/debtors?sort=priority", "/runs", "/debtors/{id}/assessments"])
def test_every_list_has_limits_and_refuses_cursors_of_others(api: Api, portfolio: str, path: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))["id"]
    address = path.replace("{id}", str(one))
    for limit in (0, 501):
        assert fields_of(api.get(with_query(address, f"limit={limit}")), 422) == ["limit"]
    assert api.get(with_query(address, "limit=500")).status_code == 200
    foreign = cursor_of([1]) if "priority" in path or "high" in path else cursor_of([1, 2])
    for cursor in ("nonsense", foreign, cursor_of(["x"])):
        assert fields_of(api.get(with_query(address, f"cursor={cursor}")), 422) == ["cursor"]


def with_query(address: str, query: str) -> str:
    return address + ("&" if "?" in address else "?") + query
