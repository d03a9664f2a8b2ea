"""No route of either API ignores a parameter that it does not know, or takes one value of two."""

from collections.abc import Iterator
from typing import Any

import pytest
from tests.contracts.access.guarded import ROOTS, Guarded, filled, guarded
from tests.contracts.access.roles import EXPECTED

NOWHERE = {"aws_endpoint_url_sqs": "http://127.0.0.1:1", "aws_region": "eu-west-1"}
EVERY = [(service, *route) for service, table in EXPECTED.items() for route in table]


@pytest.fixture(scope="module")
def apis(tmp_path_factory: pytest.TempPathFactory, aws_environment: None) -> Iterator[dict[str, Guarded]]:
    folder = tmp_path_factory.mktemp("strict")
    with guarded("risk", folder, **NOWHERE) as risk, guarded("debt", folder, **NOWHERE) as debt:
        yield {"risk": risk, "debt": debt}


def named(response: Any) -> list[str]:
    assert response.status_code == 422, response.text
    return [error["field"] for error in response.json()["errors"]]


@pytest.mark.parametrize(("service", "method", "path"), EVERY)
def test_an_unknown_parameter_is_refused_by_name_and_does_nothing(
    apis: dict[str, Guarded], service: str, method: str, path: str
) -> None:
    api, body = apis[service], None if method in ("GET", "DELETE") else {}
    before = api.records()

    response = api.request("admin", method, ROOTS[service] + filled(path), params={"payment_staus": "PAID"}, json=body)

    assert named(response) == ["payment_staus"]
    assert api.records() == before


@pytest.mark.parametrize(("service", "method", "path"), EVERY)
def test_every_parameter_but_a_list_is_refused_when_it_is_given_twice(
    apis: dict[str, Guarded], service: str, method: str, path: str
) -> None:
    api, address = apis[service], ROOTS[service] + path
    operation = api.client.get("/openapi.json").json()["paths"][address][method.lower()]
    single = [
        parameter["name"]
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter["schema"].get("type") != "array"
    ]

    for name in single:
        response = api.request("admin", method, ROOTS[service] + filled(path), params={name: ["1", "1"]})
        assert named(response) == [name]


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/docs", "/openapi.json", "/"])
def test_probes_and_documents_take_what_a_balancer_or_a_browser_adds(apis: dict[str, Guarded], path: str) -> None:
    assert apis["risk"].client.get(path, params={"from": "balancer"}).status_code in (200, 503)
