"""Comparisons over HTTP: totals on every page, pages and files alike, and what is refused."""

import csv
import io
import json
from typing import Any

from sqlalchemy import update
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.planned import plan
from tests.risk_assessment.responses import created, fields_of, problem_of, shown

from risk_assessment.tables import runs


def add(api: Api, portfolio: str, **changes: Any) -> int:
    return int(created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))["id"])


def planned(api: Api, portfolio: str, **options: Any) -> str:
    run_id = str(created(api.post("/runs", json={"portfolio": portfolio} | options))["id"])
    plan(api.database, run_id)
    return run_id


def test_every_page_has_the_totals_and_files_have_every_debtor(api: Api, portfolio: str) -> None:
    stays, rises, pays, leaves = (add(api, portfolio, total_debt_amount=f"{debt}.00") for debt in (900, 80, 70, 60))
    earlier = planned(api, portfolio)
    assert api.patch(f"/debtors/{rises}", json={"total_debt_amount": "999999.00"}).is_success
    assert api.patch(f"/debtors/{pays}", json={"payment_status": "PAID"}).is_success
    assert api.delete(f"/debtors/{leaves}").is_success
    comes = add(api, portfolio, total_debt_amount="50.00")
    this = planned(api, portfolio)

    path, params = f"/runs/{this}/compare", {"with": earlier}
    whole = shown(api.get(path, params=params))
    items = whole.pop("items")

    assert whole == {
        "run_id": this,
        "with": earlier,
        "new": 1,
        "gone": {"PAID": 1, "DELETED": 1},
        "moved": 1,
        "unchanged": 1,
        "levels": {"LOW": {"LOW": 1, "MEDIUM": 1}},
        "next_cursor": None,
    }
    assert [(one["debtor_id"], one["change"], one["reason"]) for one in items] == [
        (rises, "moved", None),
        (comes, "new", None),
        (pays, "gone", "PAID"),
        (leaves, "gone", "DELETED"),
    ]
    moved = items[0]
    assert (moved["rank_before"], moved["rank_after"], moved["lane_after"]) == (2, 1, "high")
    assert stays not in [one["debtor_id"] for one in items]
    assert paged(api, path, params, whole) == items
    lines = api.get(path, params=params, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    assert [json.loads(line) for line in lines] == items
    table = list(csv.DictReader(io.StringIO(api.get(path, params=params, headers={"Accept": "text/csv"}).text)))
    assert table == [{name: "" if value is None else str(value) for name, value in one.items()} for one in items]


def paged(api: Api, path: str, params: dict[str, str], totals: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = shown(api.get(path, params=params | {"limit": 1} | ({"cursor": cursor} if cursor else {})))
        found += page.pop("items")
        cursor = page["next_cursor"]
        assert page | {"next_cursor": None} == totals
    return found


def test_what_cannot_be_compared_is_refused(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    add(api, f"{portfolio}-b")
    run, other = planned(api, portfolio), planned(api, f"{portfolio}-b")
    unplanned = created(api.post("/runs", json={"portfolio": portfolio}))["id"]
    with api.database.write() as connection:  # the dispatcher never gets to it
        connection.execute(update(runs).where(runs.c.id == unplanned).values(state="cancelled"))

    def refused(status: int, run_id: str = run, **params: Any) -> Any:
        return problem_of(api.get(f"/runs/{run_id}/compare", params=params), status)

    assert fields_of(api.get(f"/runs/{run}/compare", params={"with": other}), 422) == ["with"]
    assert fields_of(api.get(f"/runs/{run}/compare"), 422) == ["with"]
    later = planned(api, portfolio)
    assert shown(api.get(f"/runs/{later}/compare", params={"with": run}))["unchanged"] == 1
    turned = refused(422, **{"with": later})
    assert [error["field"] for error in turned["errors"]] == ["with"]
    assert "earlier run" in turned["errors"][0]["message"]
    refused(409, later, **{"with": unplanned})
    refused(409, unplanned, **{"with": run})
    refused(404, **{"with": "no-such-run"})
    refused(404, "no-such-run", **{"with": run})
    refused(422, **{"with": run, "cursor": "nonsense"})
    problem_of(api.get(f"/runs/{run}/compare", params={"with": run}, headers={"Accept": "image/png"}), 406)
