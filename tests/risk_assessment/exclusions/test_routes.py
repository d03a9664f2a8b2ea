"""Who a run left out, over HTTP: pages, files, one reason, and nothing before there is a plan."""

import csv
import io
import json
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import delete, update
from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor, generate_debtors
from tests.risk_assessment.planned import plan
from tests.risk_assessment.responses import all_pages, created, problem_of, shown

from risk_assessment.tables import run_exclusions, runs
from service_kit.clock import utc_now

FIELDS = ["debtor_id", "reason", "hold_id", "lead_debtor_id"]


def add(api: Api, portfolio: str, **changes: Any) -> int:
    return int(created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))["id"])


def hold(api: Api, debtor_id: int, kind: str) -> str:
    body = {"debtor_id": debtor_id, "kind": kind, "reason": "Letter", "from": "2026-01-01T00:00:00Z"}
    return str(created(api.post("/holds", json=body))["id"])


def planned(api: Api, portfolio: str, **options: Any) -> str:
    run_id = str(created(api.post("/runs", json={"portfolio": portfolio} | options))["id"])
    plan(api.database, run_id)
    return run_id


def test_who_is_left_out_is_listed_with_the_reason(api: Api, portfolio: str) -> None:
    paid = add(api, portfolio, payment_status="PAID")
    held = add(api, portfolio, total_debt_amount="70.00")
    dispute = hold(api, held, "DISPUTE")
    hold(api, held, "OTHER")
    lead = add(api, portfolio, total_debt_amount="900.00", person_ref="P-1")
    covered = add(api, portfolio, total_debt_amount="800.00", person_ref="P-1")
    add(api, portfolio, total_debt_amount="1.00")

    run_id = planned(api, portfolio, limit=1)

    found = shown(api.get(f"/runs/{run_id}/exclusions"))
    assert found["next_cursor"] is None
    assert sorted(found["items"], key=lambda one: one["debtor_id"]) == [
        {"debtor_id": paid, "reason": "PAID", "hold_id": None, "lead_debtor_id": None},
        {"debtor_id": held, "reason": "HOLD_DISPUTE", "hold_id": dispute, "lead_debtor_id": None},
        {"debtor_id": covered, "reason": "COVERED", "hold_id": None, "lead_debtor_id": lead},
    ]
    run = shown(api.get(f"/runs/{run_id}"))
    assert list(run["excluded"].items()) == [("PAID", 1), ("HOLD_DISPUTE", 1), ("COVERED", 1), ("LIMIT", 1)]
    assert run["unit"] == "person"
    for reason, there in {"COVERED": [covered], "HOLD_DISPUTE": [held], "HOLD_OTHER": [], "LIMIT": []}.items():
        of_reason = shown(api.get(f"/runs/{run_id}/exclusions", params={"reason": reason}))["items"]
        assert [one["debtor_id"] for one in of_reason] == there


def test_every_account_is_ranked_where_accounts_are_the_unit(api: Api, portfolio: str) -> None:
    both = [add(api, portfolio, person_ref="P-1") for _ in range(2)]

    run_id = planned(api, portfolio, unit="account")

    assert shown(api.get(f"/runs/{run_id}"))["debtors_ranked"] == len(both)
    assert shown(api.get(f"/runs/{run_id}/exclusions"))["items"] == []
    by_account, by_person = (
        shown(api.get("/runs/preview", params={"portfolio": portfolio} | unit)) for unit in ({"unit": "account"}, {})
    )
    assert (by_account["ranked"], by_account["unit"], by_account["excluded"]) == (2, "account", {})
    assert (by_person["ranked"], by_person["unit"], by_person["excluded"]) == (1, "person", {"COVERED": 1})


def test_pages_and_files_have_the_same_debtors(api: Api, portfolio: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recovery_core.ranking.exclusions.PART_SIZE", 4)
    rows = generate_debtors(api.database, 300, portfolio=portfolio)
    paid = [row["id"] for row in rows if row["payment_status"] == "PAID"]
    run_id = planned(api, portfolio)

    path = f"/runs/{run_id}/exclusions"
    pages = all_pages(api, path, limit=3)
    lines = api.get(path, headers={"Accept": "application/x-ndjson"}).text.splitlines()
    table = list(csv.reader(io.StringIO(api.get(path, headers={"Accept": "text/csv"}).text)))

    assert Counter(one["debtor_id"] for one in pages) == Counter(paid)
    assert len(paid) > 8
    assert [json.loads(line) for line in lines] == pages
    assert table == [FIELDS, *([str(one["debtor_id"]), "PAID", "", ""] for one in pages)]


def test_a_run_that_has_no_plan_yet_has_left_no_debtor_out(api: Api, portfolio: str) -> None:
    add(api, portfolio, payment_status="PAID")
    run_id = planned(api, portfolio)
    with api.database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(planned_at=None))

    assert shown(api.get(f"/runs/{run_id}/exclusions")) == {"items": [], "next_cursor": None}


def test_a_run_of_version_1_0_shows_its_counts_and_no_debtors(api: Api, portfolio: str) -> None:
    add(api, portfolio, payment_status="PAID")
    run_id = planned(api, portfolio)
    as_stored = {"unit": None, "stops_before": None, "excluded": '{"PAID":1,"BEYOND_LIMIT":2}', "planned_at": utc_now()}
    with api.database.write() as connection:
        connection.execute(update(runs).where(runs.c.id == run_id).values(as_stored))
        connection.execute(delete(run_exclusions))

    run = shown(api.get(f"/runs/{run_id}"))

    assert (run["unit"], run["excluded"]) == ("account", {"PAID": 1, "BEYOND_LIMIT": 2})
    assert shown(api.get(f"/runs/{run_id}/exclusions"))["items"] == []


def test_what_is_no_reason_or_no_run_is_refused(api: Api, portfolio: str) -> None:
    add(api, portfolio)
    run_id = planned(api, portfolio)

    problem_of(api.get(f"/runs/{run_id}/exclusions", params={"reason": "BEYOND_LIMIT"}), 422)
    problem_of(api.get(f"/runs/{run_id}/exclusions", params={"cursor": "nonsense"}), 422)
    problem_of(api.get("/runs/no-such-run/exclusions"), 404)
    problem_of(api.get("/runs/no-such-run/exclusions", headers={"Accept": "text/csv"}), 404)
    problem_of(api.get(f"/runs/{run_id}/exclusions", headers={"Accept": "image/png"}), 406)
