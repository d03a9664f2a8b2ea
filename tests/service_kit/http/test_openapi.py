"""The OpenAPI document is as precise as the API."""

import json

import httpx
from tests.service_kit.http.guarded import ROUTES


def test_the_document_shows_problems_as_they_are_sent(demo: httpx.Client) -> None:
    schema = demo.get("/openapi.json").json()

    responses = schema["paths"]["/demo/items"]["post"]["responses"]
    assert set(responses["422"]["content"]) == {"application/problem+json"}
    assert {"Problem", "FieldProblem"} <= set(schema["components"]["schemas"])
    assert "HTTPValidationError" not in json.dumps(schema)


def test_the_document_says_which_role_each_operation_needs(api: httpx.Client) -> None:
    document = api.get("/openapi.json").json()

    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    for (method, path), role in ROUTES.items():
        operation = document["paths"][path][method.lower()]
        assert operation["security"] == [{"bearer": [role.value]}]
        assert {"401", "403"} <= set(operation["responses"])
        assert set(operation["responses"]["401"]["content"]) == {"application/problem+json"}
    assert "security" not in document["paths"]["/demo/forgotten"]["get"]


def test_without_authentication_the_document_asks_for_no_credentials(open_api: httpx.Client) -> None:
    document = open_api.get("/openapi.json").text

    assert '"security"' not in document
    assert "securitySchemes" not in document
