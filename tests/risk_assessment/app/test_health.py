"""Alive, ready and counted; a database or queues that are away are reported, and come back by themselves."""

from pathlib import Path

import httpx
import pytest
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.responses import created, shown
from tests.support.faults.proxy import Proxy
from tests.support.processes import eventually, free_port
from tests.support.servers import MariaDb, moto_server

from service_kit.database.engine import Database
from service_kit.database.migrations import downgrade, upgrade


@pytest.mark.parametrize("root", ["", "/risk-service"])
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_running_service_is_alive_and_ready(api: Api, root: str, slash: str) -> None:
    assert httpx.get(f"{api.url}{root}/healthz{slash}").json() == {"status": "alive"}
    assert httpx.get(f"{api.url}{root}/readyz{slash}").json() == {"status": "ready"}


def test_requests_are_counted_by_route(api: Api) -> None:
    api.get("/debtors/7")

    text = httpx.get(f"{api.url}/metrics").text

    assert 'route="/risk-service/debtors/{debtor_id}"' in text
    assert "/debtors/7" not in text


def test_the_openapi_document_has_every_path_with_examples_and_problems(api: Api) -> None:
    document = httpx.get(f"{api.url}/openapi.json").json()

    root = "/risk-service"
    assert {
        f"{root}/debtors",
        f"{root}/debtors/{{debtor_id}}",
        f"{root}/debtors/{{debtor_id}}/score",
        f"{root}/debtors/{{debtor_id}}/assessments",
        f"{root}/debtors/high-risk",
        f"{root}/scores",
        f"{root}/scoring-jobs",
        f"{root}/scoring-jobs/{{job_id}}",
        f"{root}/runs/preview",
        f"{root}/runs",
        f"{root}/runs/{{run_id}}",
        f"{root}/runs/{{run_id}}/cancel",
        f"{root}/runs/{{run_id}}/events",
        "/healthz",
        "/readyz",
    } <= set(document["paths"])
    schemas = document["components"]["schemas"]
    for body in ("DebtorIn", "DebtorPatch", "RunIn", "ScoresIn", "ScoringJobIn"):
        [example] = schemas[body]["examples"]
        path = {"DebtorIn": "debtors", "RunIn": "runs", "ScoresIn": "scores", "ScoringJobIn": "scoring-jobs"}.get(body)
        if path:
            assert api.post(f"/{path}", json=example).status_code in (200, 201, 202, 409)
    assert "Problem" in schemas
    assert httpx.get(f"{api.url}/docs").status_code == 200


def readiness(api: Api) -> tuple[int, set[str]]:
    response = httpx.get(f"{api.url}/readyz", timeout=10)
    return response.status_code, {error["field"] for error in response.json().get("errors", [])}


def test_not_ready_says_what_is_missing_and_ready_comes_back(tmp_path: Path, aws_environment: None) -> None:
    url, port = f"sqlite:///{tmp_path / 'risk.db'}", free_port()
    with serving(tmp_path, url, f"http://127.0.0.1:{port}") as api:
        assert readiness(api) == (503, {"database", "queues"})
        assert httpx.get(f"{api.url}/healthz").status_code == 200

        upgrade(url, "risk_assessment")
        eventually(lambda: readiness(api) == (503, {"queues"}), 20, "the schema")
        with moto_server(tmp_path, port):
            eventually(lambda: readiness(api) == (200, set()), 20, "readiness")
            downgrade(url, "risk_assessment", "base")
            eventually(lambda: readiness(api) == (503, {"database"}), 20, "the outage")


def test_a_database_that_is_away_is_a_503_and_comes_back_by_itself(
    tmp_path: Path, mariadb: MariaDb, mysql: Database, sqs_url: str
) -> None:
    with Proxy(mariadb.port) as proxy:
        url = mysql.engine.url.set(port=proxy.port).render_as_string(hide_password=False)
        with serving(tmp_path, url, sqs_url) as api:
            debtor = created(api.post("/debtors", json=a_debtor()))

            proxy.go_away()
            for response in (api.get("/debtors"), api.post("/debtors", json=a_debtor()), api.get("/runs/preview")):
                assert (response.status_code, response.headers["content-type"]) == (503, "application/problem+json")
                assert int(response.headers["retry-after"]) > 0
                assert str(proxy.port) not in response.text
            assert api.post("/scores", json={"profiles": [{}]}).status_code == 200
            eventually(lambda: readiness(api) == (503, {"database"}), 20, "the outage")

            proxy.come_back()
            assert eventually(lambda: api.get(f"/debtors/{debtor['id']}").status_code == 200)
            eventually(lambda: readiness(api) == (200, set()), 20, "readiness")
            assert len(shown(api.get("/debtors"))["items"]) == 1
