"""Decisions and errors over HTTP: pages and exports of a run, the history of a debtor."""

import csv
import io
import itertools
from collections.abc import Callable

import httpx
import orjson
import pytest
from tests.debt_processing.api import BASE, every_page, get
from tests.debt_processing.builders import a_debtor, debtors

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.policies.treatment import Treatment
from recovery_core.profile import Facts
from recovery_core.scoring.scorer import scorer_for
from service_kit.http.exports import NotAcceptable, chosen_format

pytestmark = pytest.mark.anyio


async def test_pages_of_decisions_come_in_the_order_of_work(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in (2, 1, 3):
        store(sequence=sequence, entries=debtors(5, first=sequence * 10))

    pages = await every_page(api, "/runs/run-1/decisions", 4)

    places = [(d["batch_sequence"], d["position"]) for d in itertools.chain.from_iterable(pages)]
    assert places == [(s, p) for s in (1, 2, 3) for p in range(5)]
    assert [len(page) for page in pages] == [4, 4, 4, 3]


async def test_a_decision_shows_all_that_decided_it(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(sequence=3, lane="standard", entries=[a_debtor(5, employment_status="UNEMPLOYED", late_payments_count=4)])

    [decision] = (await get(api, "/runs/run-1/decisions"))["items"]

    reasons = decision.pop("reasons")
    score = scorer_for(built_in_policy("standard")).score(
        Facts(1_200_000, 250_000, 4, "UNEMPLOYED", "PERMANENT", "RETAIL", None)
    )
    assert decision == {
        "run_id": "run-1",
        "debtor_id": 5,
        "batch_sequence": 3,
        "position": 0,
        "lane": "standard",
        "high_priority": True,
        "priority": f"{score.total_score * 12_000}.00",
        "total_score": score.total_score,
        "risk_level": score.risk_level,
        "action": Treatment(built_in_policy("standard")).action(score.risk_level, "standard", "UNPAID", 1_200_000),
        "blocked": [],
        "stops_seen": None,
        "decided_at": "2026-03-01T12:30:03Z",
    }
    assert [reason["code"] for reason in reasons] == list(score.reason_codes)
    assert all(reason["text"] and reason["contribution"] > 0 for reason in reasons)


async def test_reasons_are_those_of_the_policy_that_decided(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    document = built_in_policy("standard").document
    document = document | {"name": "other", "factors": {"industry_sector": document["factors"]["industry_sector"]}}
    lite_store(entries=[a_debtor(1)], policy=load_policy(document), travels=True)

    [decision] = (await get(lite_api, "/runs/run-1/decisions"))["items"]

    assert [reason["code"] for reason in decision["reasons"]] == ["INDUSTRY_SECTOR_RETAIL"]


async def test_pages_of_errors(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(entries=[{"who": "knows"}, *(a_debtor(n) | {"debtor_id": n, "contract_type": 5} for n in range(1, 5))])

    pages = await every_page(api, "/runs/run-1/errors", 2)

    errors = list(itertools.chain.from_iterable(pages))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [error["debtor_id"] for error in errors] == [None, 1, 2, 3, 4]
    assert errors[1] | {"detail": ""} == {
        "run_id": "run-1",
        "debtor_id": 1,
        "batch_sequence": 1,
        "position": 1,
        "stage": "read",
        "error": "contract_type",
        "detail": "",
        "recorded_at": "2026-03-01T12:30:01Z",
    }


# Exports


async def test_csv_holds_every_decision_of_the_run(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in range(1, 8):
        store(sequence=sequence, entries=debtors(500, first=sequence * 1000))

    response = await api.get(f"{BASE}/runs/run-1/decisions", params={"limit": 3}, headers={"Accept": "text/csv"})

    assert response.headers["content-type"].startswith("text/csv")
    assert response.headers["content-disposition"] == 'attachment; filename="decisions-run-1.csv"'
    rows = list(csv.DictReader(io.StringIO(response.text)))
    assert [(int(row["batch_sequence"]), int(row["position"])) for row in rows] == [
        (s, p) for s in range(1, 8) for p in range(500)
    ]
    [first] = (await get(api, "/runs/run-1/decisions", params={"limit": 1}))["items"]
    assert rows[0] == {name: str(value) for name, value in first.items()} | {
        "high_priority": "true",
        "reasons": ";".join(reason["code"] for reason in first["reasons"]),
        "blocked": "",
        "stops_seen": "",
    }


async def test_ndjson_holds_the_same_objects_as_the_pages(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(sequence=1, entries=debtors(20))
    store(sequence=2, entries=[a_debtor(90) | {"payment_status": "MAYBE"}])

    for path in ("/runs/run-1/decisions", "/runs/run-1/errors"):
        response = await api.get(f"{BASE}{path}", headers={"Accept": "application/x-ndjson"})
        lines = [orjson.loads(line) for line in response.text.splitlines()]
        assert lines == (await get(api, path))["items"]
        assert response.headers["content-type"].startswith("application/x-ndjson")


async def test_cells_that_a_spreadsheet_would_run_are_disarmed(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store("=1+2:x".replace("=", "-").replace("+", "-"), entries=[a_debtor(1) | {"payment_status": None}])

    response = await lite_api.get(f"{BASE}/runs/-1-2:x/errors", headers={"Accept": "text/csv"})

    [row] = csv.DictReader(io.StringIO(response.text))
    assert row["run_id"] == "'-1-2:x"
    assert row["debtor_id"] == "1"
    assert 'filename="errors--1-2_x.csv"' in response.headers["content-disposition"]


async def test_an_export_of_nothing_is_a_heading_or_nothing(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()

    as_csv = await lite_api.get(f"{BASE}/runs/run-1/errors", headers={"Accept": "text/csv"})
    as_lines = await lite_api.get(f"{BASE}/runs/run-1/errors", headers={"Accept": "application/x-ndjson"})

    assert as_csv.text == "run_id,debtor_id,batch_sequence,position,stage,error,detail,recorded_at\r\n"
    assert as_lines.text == ""


async def test_an_unknown_run_is_a_404_for_exports_too(lite_api: httpx.AsyncClient) -> None:
    await get(lite_api, "/runs/unknown/decisions", 404, headers={"Accept": "text/csv"})


async def test_a_form_that_we_do_not_have_is_a_406(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()
    problem = await get(lite_api, "/runs/run-1/decisions", 406, headers={"Accept": "text/html"})
    assert "text/csv" in problem["detail"]


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("application/json", "json"),
        ("text/csv", "csv"),
        ("text/*", "csv"),
        ("application/x-ndjson, application/json;q=0.5", "ndjson"),
        ("application/json;q=0.1, text/csv; q=0.9", "csv"),
        ("application/*", "json"),
        ("application/json;q=0, */*;q=0.1", "csv"),
        ("text/html, */*;q=0.2", "json"),
    ],
)
async def test_the_client_gets_the_form_it_likes_best(accept: str | None, form: str) -> None:
    assert await chosen_format(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "text/csv;q=nonsense"])
async def test_a_client_that_accepts_no_form_we_have_is_rejected(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        await chosen_format(accept)


# Filters


@pytest.mark.parametrize("limit", [1, 4, 500])
@pytest.mark.parametrize(
    "chosen",
    [{"action": "NO_ACTION"}, {"level": "LOW"}, {"action": "AGENT_CALL", "level": "HIGH"}, {"action": "AGENT_CALL"}],
    ids=str,
)
async def test_decisions_are_chosen_by_action_and_level(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None], chosen: dict[str, str], limit: int
) -> None:
    poor = {"monthly_income": "0.00", "late_payments_count": 9, "employment_status": "UNEMPLOYED"}
    rich = {"total_debt_amount": "10.00", "late_payments_count": 0, "industry_sector": "GOVERNMENT"}
    for sequence in range(1, 9):
        first = sequence * 100
        few = [a_debtor(first + 50 + n, **[rich, poor, poor | {"payment_status": "PAID"}][n]) for n in range(3)]
        lite_store(sequence=sequence, entries=[*debtors(2, first=first), *(few if sequence in (2, 3, 7) else [])])
    everyone = list(itertools.chain.from_iterable(await every_page(lite_api, "/runs/run-1/decisions", 500)))
    names = {"action": "action", "level": "risk_level"}
    wanted = [one for one in everyone if all(one[names[name]] == value for name, value in chosen.items())]

    pages = await every_page(lite_api, "/runs/run-1/decisions", limit, **chosen)
    export = await lite_api.get(
        f"{BASE}/runs/run-1/decisions", params=chosen, headers={"Accept": "application/x-ndjson"}
    )

    assert 0 < len(wanted) < len(everyone)
    assert list(itertools.chain.from_iterable(pages)) == wanted
    assert all(len(page) == limit for page in pages[:-1])
    assert [orjson.loads(line) for line in export.text.splitlines()] == wanted


async def test_errors_are_chosen_by_kind_and_counted_in_the_report(
    api: httpx.AsyncClient, store: Callable[..., None]
) -> None:
    for sequence in range(1, 5):
        wrong = [a_debtor(sequence * 10 + n) | {"contract_type" if n % 2 else "industry_sector": "?"} for n in range(3)]
        store(sequence=sequence, entries=wrong)

    pages = await every_page(api, "/runs/run-1/errors", 3, error="industry_sector")
    export = await api.get(f"{BASE}/runs/run-1/errors", params={"error": "none_such"}, headers={"Accept": "text/csv"})

    found = list(itertools.chain.from_iterable(pages))
    assert [(one["batch_sequence"], one["position"]) for one in found] == [(s, n) for s in (1, 2, 3, 4) for n in (0, 2)]
    assert {one["error"] for one in found} == {"industry_sector"}
    assert export.text.count("\r\n") == 1
    assert (await get(api, "/runs/run-1"))["error_kinds"] == {"contract_type": 4, "industry_sector": 8}


# A debtor's history


async def test_a_debtors_decisions_come_newest_run_first(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for run in range(1, 6):
        store(f"run-{run}", entries=debtors(3), lane="standard" if run == 4 else "high")

    pages = await every_page(api, "/debtors/2/decisions", 2)

    decisions = list(itertools.chain.from_iterable(pages))
    assert [d["run_id"] for d in decisions] == ["run-5", "run-4", "run-3", "run-2", "run-1"]
    assert {d["debtor_id"] for d in decisions} == {2}
    assert decisions[1]["lane"] == "standard"
    assert (await get(api, "/debtors/99/decisions"))["items"] == []
