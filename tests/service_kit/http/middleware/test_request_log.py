"""Every request has an id, safe headers, one log line and one measurement."""

import json
from pathlib import Path

import httpx
import pytest
from tests.service_kit.http.guarded import bearer
from tests.service_kit.http.responses import logged


def test_responses_carry_safe_headers(demo: httpx.Client) -> None:
    headers = demo.get("/demo/items/5").headers

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_a_request_keeps_the_id_that_its_client_gave(demo: httpx.Client, demo_log: Path) -> None:
    response = demo.get("/demo/items/5/?search=Jane", headers={"X-Request-Id": "trace-1"})

    assert response.headers["x-request-id"] == "trace-1"
    line = logged(demo_log, "trace-1")
    assert (line["method"], line["route"], line["status"]) == ("GET", "/demo/items/{item_id}", 200)
    assert line["ms"] >= 0
    assert line["service"] == "demo"
    assert "Jane" not in json.dumps(line)


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, 'a"b', "größe".encode()])
def test_an_id_that_could_break_a_log_is_replaced(demo: httpx.Client, given: str | bytes) -> None:
    response = demo.get("/demo/items/5", headers={"X-Request-Id": given})

    assert len(response.headers["x-request-id"]) == 32


def test_requests_are_measured_by_route(demo: httpx.Client) -> None:
    demo.get("/demo/items/77")

    metrics = demo.get("/metrics").text

    assert 'http_request_seconds_count{method="GET",route="/demo/items/{item_id}",status="200"}' in metrics
    assert "/77" not in metrics


def test_responses_may_not_be_shown_as_pages(api: httpx.Client) -> None:
    response = api.get("/demo/things", headers=bearer("viewer"))

    assert response.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"


def test_hsts_is_sent_over_tls_only(api: httpx.Client) -> None:
    # The server trusts the headers of a proxy on this machine, as of those in FORWARDED_ALLOW_IPS.
    over_tls = api.get("/healthz", headers={"X-Forwarded-Proto": "https"})

    assert over_tls.headers["strict-transport-security"] == "max-age=31536000"
    assert "strict-transport-security" not in api.get("/healthz").headers
