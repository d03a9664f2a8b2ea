"""All debtors of a list as one file, with the references that their creditor knows them by."""

import csv
import io
import json
from collections.abc import Iterator

import httpx
import pytest
from tests.contracts.in_process import Calls, calling
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, generate_debtors
from tests.risk_assessment.responses import all_pages, created, fields_of

from risk_assessment.debtors import routes
from service_kit.database.engine import Database

CSV, NDJSON = {"Accept": "text/csv"}, {"Accept": "application/x-ndjson"}


def rows_of(response: httpx.Response) -> list[dict[str, str]]:
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))


def test_a_csv_has_every_debtor_with_its_reference_and_its_score(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 20, portfolio=portfolio)
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="=1+1", name="Zoë, Ünal")))
    items = all_pages(api, "/debtors", portfolio=portfolio)

    response = api.get("/debtors", params={"portfolio": portfolio}, headers=CSV)

    rows = rows_of(response)
    assert response.headers["content-disposition"] == 'attachment; filename="debtors.csv"'
    assert [row["id"] for row in rows] == [str(item["id"]) for item in items]
    assert [row["external_ref"] for row in rows[:20]] == [item["external_ref"] for item in items[:20]]
    assert (rows[20]["external_ref"], rows[20]["name"]) == ("'=1+1", "Zoë, Ünal")
    for row, item in zip(rows, items, strict=True):
        assert row["total_debt_amount"] == item["total_debt_amount"]
        assert row["total_score"] == str(item["assessment"]["total_score"])
        assert row["risk_level"] == item["assessment"]["risk_level"]
        assert row["updated_at"] == item["updated_at"]


def test_ndjson_has_the_debtors_as_a_page_shows_them(api: Api, portfolio: str) -> None:
    generate_debtors(api.database, 5, portfolio=portfolio)

    response = api.get("/debtors", params={"portfolio": portfolio, "sort": "priority"}, headers=NDJSON)

    lines = [json.loads(line) for line in response.text.splitlines()]
    shown = [{name: value for name, value in line.items() if name not in routes.ASSESSED} for line in lines]
    assert shown == all_pages(api, "/debtors", portfolio=portfolio, sort="priority")
    assert [line["total_score"] for line in lines] == [line["assessment"]["total_score"] for line in lines]


@pytest.fixture
def in_process(sqlite: Database, migrated_sqlite_url: str, aws_environment: None) -> Iterator[Calls]:
    """The API in this process, over ten debtors."""
    generate_debtors(sqlite, 10)
    with calling(migrated_sqlite_url) as call:
        yield call


@pytest.mark.parametrize("size", [1, 7, 10, 11])
@pytest.mark.parametrize("sort", ["id", "priority"])
def test_an_export_of_several_chunks_has_each_debtor_once(
    in_process: Calls, monkeypatch: pytest.MonkeyPatch, size: int, sort: str
) -> None:
    monkeypatch.setattr(routes, "EXPORT_CHUNK", size)

    rows = rows_of(in_process("GET", f"/debtors?sort={sort}", headers=CSV))

    assert len({row["id"] for row in rows}) == len(rows) == 10


def test_filters_apply_and_an_empty_export_has_its_headings(api: Api, portfolio: str) -> None:
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio, payment_status="PAID", external_ref="A")))
    created(api.post("/debtors", json=a_debtor(portfolio=portfolio, external_ref="B")))

    def references(**params: str) -> list[str]:
        return [row["external_ref"] for row in rows_of(api.get("/debtors", params=params, headers=CSV))]

    assert references(portfolio=portfolio, payment_status="PAID") == ["A"]
    assert references(portfolio=portfolio, external_ref="B") == ["B"]
    empty = api.get("/debtors", params={"portfolio": f"{portfolio}-2"}, headers=CSV)
    assert empty.text.strip().split(",") == list(routes.EXPORTED)
    assert api.get("/debtors", params={"portfolio": f"{portfolio}-2"}, headers=NDJSON).content == b""


def test_what_is_wrong_is_a_problem_and_no_file(api: Api) -> None:
    assert fields_of(api.get("/debtors", params={"external_ref": "A"}, headers=CSV), 422) == ["portfolio"]
    assert fields_of(api.get("/debtors", headers={"Accept": "text/html"}), 406) == ["accept"]


def test_a_score_range_includes_its_ends(api: Api, portfolio: str) -> None:
    one = created(api.post("/debtors", json=a_debtor(portfolio=portfolio)))
    scope, score = {"portfolio": portfolio}, one["assessment"]["total_score"]

    assert [row["id"] for row in all_pages(api, "/debtors", **scope, min_score=score, max_score=score)] == [one["id"]]
    assert all_pages(api, "/debtors", **scope, min_score=score + 1) == []
    assert all_pages(api, "/debtors", **scope, max_score=score - 1) == []
    assert all_pages(api, "/debtors", **scope, min_score=score, max_score=score - 1) == []
    lines = api.get("/debtors", params={**scope, "min_score": score}, headers=NDJSON)
    assert [json.loads(line)["id"] for line in lines.text.splitlines()] == [one["id"]]
