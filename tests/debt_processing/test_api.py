"""The HTTP API, on each kind of database: reports, pages, exports, and problems for what is wrong."""

import csv
import io
import itertools
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any

import httpx
import orjson
import pytest
from tests.debt_processing.builders import AS_OF, NOW, a_batch, a_debtor, debtors
from tests.debt_processing.conftest import make_settings
from tests.support.processes import free_port

from debt_processing.app import create_app
from debt_processing.batches import service as inbox
from debt_processing.settings import Settings
from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from recovery_core.policies.treatment import Treatment
from recovery_core.scoring.scorer import scorer_for
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.http.exports import NotAcceptable, chosen_format

pytestmark = pytest.mark.anyio
Names = Callable[[str], str]
BASE = "/debt-service"


@pytest.fixture
def api_settings(database_url: str, queue_names: Names, sqs_url: str) -> Settings:
    return make_settings(database_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)


@pytest.fixture
def lite_settings(sqlite_url: str, queue_names: Names, sqs_url: str) -> Settings:
    return make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url, recovery_create_queues=True)


@pytest.fixture
async def api(api_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    upgrade(api_settings.debt_database_url, "debt_processing")
    async for client in serving(api_settings):
        yield client


@pytest.fixture
async def lite_api(lite_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """The API on SQLite only, for what does not depend on the database."""
    upgrade(lite_settings.debt_database_url, "debt_processing")
    async for client in serving(lite_settings):
        yield client


async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://debt") as client:
            yield client


@pytest.fixture
def store(api_settings: Settings) -> Callable[..., None]:
    return storing(api_settings.debt_database_url)


@pytest.fixture
def lite_store(lite_settings: Settings) -> Callable[..., None]:
    return storing(lite_settings.debt_database_url)


def storing(url: str) -> Callable[..., None]:
    """Record a batch as the consumer would; every batch takes a second."""

    def record(run_id: str = "run-1", sequence: int = 1, **changes: Any) -> None:
        batch = a_batch(run_id, sequence, **changes)
        policy = resolve_policy(batch.header)
        worked = decide(batch, scorer_for(policy), Treatment(policy))
        started = NOW + timedelta(seconds=sequence - 1)
        database = Database(url)
        database.transact(lambda c: inbox.record(c, worked, started, started + timedelta(seconds=1)))
        database.dispose()

    return record


async def get(api: httpx.AsyncClient, path: str, status: int = 200, **options: Any) -> Any:
    answer = await api.get(f"{BASE}{path}", **options)
    assert answer.status_code == status, answer.text
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer.json()


async def every_page(api: httpx.AsyncClient, path: str, limit: int) -> list[list[Any]]:
    pages, cursor = [], None
    while True:
        page = await get(api, path, params={"limit": limit} | ({"cursor": cursor} if cursor else {}))
        pages.append(page["items"])
        cursor = page["next_cursor"]
        if cursor is None:
            return pages


# The report


async def test_the_report_adds_up_what_was_recorded(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    wrong = {"industry_sector": "?"}
    store(sequence=1, entries=[*debtors(3), a_debtor(9) | wrong], batches_total=2, debtors_total=7)
    store(
        sequence=2,
        entries=debtors(3, first=20, payment_status="PAID"),
        lane="standard",
        batches_total=2,
        debtors_total=7,
    )

    report = await get(api, "/runs/run-1")

    assert report | {"policy": None, "first_errors": []} == {
        "run_id": "run-1",
        "state": "completed",
        "portfolio": "default",
        "policy": None,
        "as_of": AS_OF.isoformat().replace("+00:00", "Z"),
        "threshold": "500000.00",
        "debtors_total": 7,
        "debtors_processed": 7,
        "succeeded": 6,
        "failed": 1,
        "high_priority": 6,
        "score_mismatches": 0,
        "batches_total": 2,
        "batches_processed": 2,
        "started_at": "2026-03-01T12:30:00Z",
        "finished_at": "2026-03-01T12:30:02Z",
        "processing_seconds": 2.0,
        "debtors_per_second": 3.5,
        "actions": {"AGENT_CALL": 3, "NO_ACTION": 3},
        "levels": {"MEDIUM": 6},
        "actions_by_level": {"MEDIUM": {"AGENT_CALL": 3, "NO_ACTION": 3}},
        "first_errors": [],
    }
    assert report["policy"]["hash"] == built_in_policy("standard").hash
    [error] = report["first_errors"]
    assert (error["debtor_id"], error["batch_sequence"], error["stage"], error["error"]) == (
        9,
        1,
        "read",
        "industry_sector",
    )


async def test_a_run_is_processing_until_every_batch_is_recorded(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store(sequence=2, batches_total=2)
    assert (await get(lite_api, "/runs/run-1"))["state"] == "processing"
    lite_store(sequence=1, batches_total=2)
    assert (await get(lite_api, "/runs/run-1"))["state"] == "completed"


async def test_at_most_ten_first_errors_are_shown(lite_api: httpx.AsyncClient, lite_store: Callable[..., None]) -> None:
    lite_store(entries=[a_debtor(n) | {"total_score": "x"} for n in range(1, 16)])

    report = await get(lite_api, "/runs/run-1")

    assert [error["position"] for error in report["first_errors"]] == list(range(10))
    assert report["levels"] == report["actions"] == {}


# Pages and exports


async def test_pages_of_decisions_come_in_the_order_of_work(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in (2, 1, 3):
        store(sequence=sequence, entries=debtors(5, first=sequence * 10))

    pages = await every_page(api, "/runs/run-1/decisions", 4)

    places = [(d["batch_sequence"], d["position"]) for d in itertools.chain.from_iterable(pages)]
    assert places == [(s, p) for s in (1, 2, 3) for p in range(5)]
    assert [len(page) for page in pages] == [4, 4, 4, 3]


async def test_a_decision_says_all_that_decided_it(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(sequence=3, lane="standard", entries=[a_debtor(5, employment_status="UNEMPLOYED", late_payments_count=4)])

    [decision] = (await get(api, "/runs/run-1/decisions"))["items"]

    reasons = decision.pop("reasons")
    score = scorer_for(built_in_policy("standard")).score(
        1_200_000, 250_000, 4, "UNEMPLOYED", "PERMANENT", "RETAIL", None
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


async def test_csv_holds_every_decision_of_the_run(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    for sequence in range(1, 8):
        store(sequence=sequence, entries=debtors(500, first=sequence * 1000))

    answer = await api.get(f"{BASE}/runs/run-1/decisions", params={"limit": 3}, headers={"Accept": "text/csv"})

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == 'attachment; filename="decisions-run-1.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [(int(row["batch_sequence"]), int(row["position"])) for row in rows] == [
        (s, p) for s in range(1, 8) for p in range(500)
    ]
    [first] = (await get(api, "/runs/run-1/decisions", params={"limit": 1}))["items"]
    assert rows[0] == {name: str(value) for name, value in first.items()} | {
        "high_priority": "true",
        "reasons": ";".join(reason["code"] for reason in first["reasons"]),
    }


async def test_ndjson_holds_the_same_objects_as_the_pages(api: httpx.AsyncClient, store: Callable[..., None]) -> None:
    store(sequence=1, entries=debtors(20))
    store(sequence=2, entries=[a_debtor(90) | {"payment_status": "MAYBE"}])

    for path in ("/runs/run-1/decisions", "/runs/run-1/errors"):
        answer = await api.get(f"{BASE}{path}", headers={"Accept": "application/x-ndjson"})
        lines = [orjson.loads(line) for line in answer.text.splitlines()]
        assert lines == (await get(api, path))["items"]
        assert answer.headers["content-type"].startswith("application/x-ndjson")


async def test_cells_that_a_spreadsheet_would_run_are_disarmed(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store("=1+2:x".replace("=", "-").replace("+", "-"), entries=[a_debtor(1) | {"payment_status": None}])

    answer = await lite_api.get(f"{BASE}/runs/-1-2:x/errors", headers={"Accept": "text/csv"})

    [row] = csv.DictReader(io.StringIO(answer.text))
    assert row["run_id"] == "'-1-2:x"
    assert row["debtor_id"] == "1"
    assert 'filename="errors--1-2_x.csv"' in answer.headers["content-disposition"]


async def test_an_export_of_nothing_is_a_heading_or_nothing(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()

    as_csv = await lite_api.get(f"{BASE}/runs/run-1/errors", headers={"Accept": "text/csv"})
    as_lines = await lite_api.get(f"{BASE}/runs/run-1/errors", headers={"Accept": "application/x-ndjson"})

    assert as_csv.text == "run_id,debtor_id,batch_sequence,position,stage,error,detail,recorded_at\r\n"
    assert as_lines.text == ""


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
def test_the_client_gets_the_form_it_likes_best(accept: str | None, form: str) -> None:
    assert chosen_format(accept) == form


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*", "text/csv;q=nonsense"])
def test_a_client_that_likes_nothing_we_have_is_told(accept: str) -> None:
    with pytest.raises(NotAcceptable):
        chosen_format(accept)


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


# Problems


@pytest.mark.parametrize("path", ["/runs/unknown", "/runs/unknown/decisions", "/runs/unknown/errors"])
async def test_an_unknown_run_is_a_404_problem(lite_api: httpx.AsyncClient, path: str) -> None:
    problem = await get(lite_api, path, 404)
    assert problem["title"] == "No such run"


async def test_an_unknown_run_is_a_404_for_exports_too(lite_api: httpx.AsyncClient) -> None:
    await get(lite_api, "/runs/unknown/decisions", 404, headers={"Accept": "text/csv"})


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/runs/run-1/decisions?limit=0", "limit"),
        ("/runs/run-1/decisions?limit=501", "limit"),
        ("/runs/run-1/decisions?cursor=abc", "cursor"),
        ("/runs/run-1/errors?cursor=WzFd", "cursor"),
        ("/debtors/0/decisions", "debtor_id"),
        ("/debtors/9223372036854775808/decisions", "debtor_id"),
        ("/debtors/me/decisions", "debtor_id"),
        ("/debtors/1/decisions?cursor=WyJhIl0", "cursor"),
        ("/dead-letters?lane=fast", "lane"),
        ("/dead-letters?limit=0", "limit"),
        (f"/runs/{'x' * 65}", "run_id"),
    ],
)
async def test_a_wrong_parameter_is_a_422_that_names_it(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None], path: str, field: str
) -> None:
    lite_store()
    problem = await get(lite_api, path, 422)
    assert [error["field"] for error in problem["errors"]] == [field]


async def test_a_form_that_we_do_not_have_is_a_406(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()
    problem = await get(lite_api, "/runs/run-1/decisions", 406, headers={"Accept": "text/html"})
    assert "text/csv" in problem["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"lane": "fast"}, "lane"),
        ({"limit": 0}, "limit"),
        ({"limit": "5"}, "limit"),
        ({"message_ids": [""]}, "message_ids.0"),
        ({"everything": True}, "everything"),
    ],
)
async def test_a_wrong_redrive_is_a_422_that_names_the_field(
    lite_api: httpx.AsyncClient, body: dict[str, Any], field: str
) -> None:
    answer = await lite_api.post(f"{BASE}/dead-letters/redrive", json=body)
    assert answer.status_code == 422
    assert [error["field"] for error in answer.json()["errors"]] == [field]


# Health, queues, the whole


async def test_alive_and_ready_at_the_top_and_under_the_base_path(lite_api: httpx.AsyncClient) -> None:
    for prefix in ("", BASE):
        assert (await lite_api.get(f"{prefix}/healthz")).json() == {"status": "alive"}
        ready = await lite_api.get(f"{prefix}/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert "debt_decisions_total" in (await lite_api.get("/metrics")).text


async def test_not_ready_names_the_schema_and_the_queues(sqlite_url: str, queue_names: Names, sqs_url: str) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=sqs_url)

    async for client in serving(settings):
        answer = await client.get("/readyz")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    told = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert "debt-processing migrate" in told["database"]
    assert "does not exist" in told["queues"]


async def test_not_ready_when_nobody_listens_and_503_for_what_needs_the_queues(
    sqlite_url: str, queue_names: Names, aws_environment: None
) -> None:
    settings = make_settings(sqlite_url, queue_names, aws_endpoint_url_sqs=f"http://127.0.0.1:{free_port()}")
    upgrade(sqlite_url, "debt_processing")

    async for client in serving(settings):
        ready = await client.get("/readyz")
        queues = await client.get(f"{BASE}/queues")
        runs = await client.get(f"{BASE}/runs/x")

    assert [error["field"] for error in ready.json()["errors"]] == ["queues"]
    assert (ready.status_code, queues.status_code, runs.status_code) == (503, 503, 404)
    assert queues.headers["retry-after"]


async def test_queues_are_counted_lane_by_lane(lite_api: httpx.AsyncClient, lite_settings: Settings) -> None:
    report = await get(lite_api, "/queues")

    assert [lane["lane"] for lane in report["lanes"]] == ["high", "standard"]
    assert report["lanes"][0] == {
        "lane": "high",
        "queue": lite_settings.recovery_queue_high,
        "waiting": 0,
        "in_flight": 0,
        "dead": 0,
        "oldest_seconds": None,
    }


async def test_paths_answer_with_and_without_a_trailing_slash(
    lite_api: httpx.AsyncClient, lite_store: Callable[..., None]
) -> None:
    lite_store()
    for path in ("/runs/run-1/", "/runs/run-1/decisions/", "/runs/run-1/errors/", "/debtors/1/decisions/", "/queues/"):
        assert await get(lite_api, path)
    assert (await lite_api.post(f"{BASE}/dead-letters/redrive/")).status_code == 200


async def test_the_description_has_every_path_and_its_problems(lite_api: httpx.AsyncClient) -> None:
    paths = (await lite_api.get("/openapi.json")).json()["paths"]

    assert set(paths) >= {
        f"{BASE}/runs/{{run_id}}",
        f"{BASE}/runs/{{run_id}}/decisions",
        f"{BASE}/runs/{{run_id}}/errors",
        f"{BASE}/debtors/{{debtor_id}}/decisions",
        f"{BASE}/queues",
        f"{BASE}/dead-letters",
        f"{BASE}/dead-letters/redrive",
        "/healthz",
        "/readyz",
    }
    answers = paths[f"{BASE}/runs/{{run_id}}/decisions"]["get"]["responses"]
    assert set(answers["200"]["content"]) == {"application/json", "text/csv", "application/x-ndjson"}
    assert "406" in answers


async def test_the_description_can_be_kept_to_oneself(lite_settings: Settings) -> None:
    async for client in serving(lite_settings.model_copy(update={"recovery_docs": False})):
        assert (await client.get("/openapi.json")).status_code == 404
        assert (await client.get("/docs")).status_code == 404
        assert (await client.get("/healthz")).status_code == 200
