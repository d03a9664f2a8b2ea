"""One trace of a run, from the request that started it, across the queue, to the commit of its decisions."""

import gzip
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from tests.support.processes import eventually
from tests.support.system.system import System

Build = Callable[..., System]

TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
PERSONAL = ("name", "external_ref", "income", "debt_amount")


@dataclass(frozen=True)
class ReceivedSpan:
    """A span as a collector receives it."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    began: int
    ended: int
    attributes: dict[str, str]


class Collector:
    """Receives spans over HTTP, as any OpenTelemetry collector does."""

    def __init__(self) -> None:
        self.spans: list[ReceivedSpan] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                collector.take(ExportTraceServiceRequest.FromString(body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, request: ExportTraceServiceRequest) -> None:
        for resource in request.resource_spans:
            about = {one.key: one.value.string_value for one in resource.resource.attributes}
            for scope in resource.scope_spans:
                for span in scope.spans:
                    attributes = {one.key: one.value.string_value for one in span.attributes}
                    ids = (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex())
                    times = (span.start_time_unix_nano, span.end_time_unix_nano)
                    self.spans.append(ReceivedSpan(about["service.name"], span.name, *ids, *times, attributes))

    def named(self, name: str) -> list[ReceivedSpan]:
        return [span for span in self.spans if span.name == name]


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    thread = Thread(target=collector.server.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()
    thread.join()


def started(system: System, traceparent: str | None) -> str:
    headers = {"traceparent": traceparent} if traceparent else {}
    response = httpx.post(f"{system.risk_url}/risk-service/runs", json={"batch_size": 100}, headers=headers)
    assert response.status_code == 202, response.text
    run_id: str = response.json()["id"]
    return run_id


def completed(system: System, run_id: str) -> dict[str, int]:
    def run() -> dict[str, int]:
        found: dict[str, int] = httpx.get(f"{system.risk_url}/risk-service/runs/{run_id}").json()
        return found

    eventually(lambda: run()["state"] == "completed", 60, "a completed run")
    return run()


def test_one_trace_leads_from_the_request_to_the_commit_of_the_decisions(build: Build, collector: Collector) -> None:
    system = build(
        debtors=500,
        RECOVERY_TRACES="true",
        OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    system.start()
    run_id = started(system, f"00-{TRACE}-{CALLER}-01")
    batches = completed(system, run_id)["batches_total"]
    eventually(lambda: len(collector.named("record decisions")) == batches, 30, "every batch's span")
    system.close()

    [request] = collector.named("POST /risk-service/runs")
    [plan] = collector.named("plan run")
    work = collector.named("work batch")
    by_id = {span.span: span for span in collector.spans}
    ours = [request, plan, *collector.named("send batches"), *work, *collector.named("record decisions")]
    assert {span.trace for span in ours} == {TRACE}
    assert request.parent == CALLER
    assert {span.parent for span in [plan, *collector.named("send batches"), *work]} == {request.span}
    assert {by_id[span.parent].name for span in collector.named("record decisions")} == {"work batch"}
    assert {span.service for span in work} == {"debt-processing"}
    assert {span.attributes["run_id"] for span in [plan, *collector.named("send batches"), *work]} == {run_id}
    assert len({span.attributes["batch_id"] for span in work}) == batches
    assert request.began <= plan.began <= plan.ended <= min(span.began for span in work)
    assert all(span.began <= span.ended for span in ours)
    for span in collector.spans:
        assert not any(word in attribute for attribute in span.attributes for word in PERSONAL)


def test_probes_and_odd_headers_begin_no_part_of_a_callers_trace(build: Build, collector: Collector) -> None:
    system = build(
        debtors=0, RECOVERY_TRACES="true", OTEL_EXPORTER_OTLP_ENDPOINT=collector.url, OTEL_BSP_SCHEDULE_DELAY="100"
    )
    system.start("sqs", "risk-api")
    httpx.get(f"{system.risk_url}/healthz")
    for odd in (f"00-{'0' * 32}-{CALLER}-01", f"00-{TRACE}-{CALLER}", "nonsense", f"00-{TRACE.upper()}-{CALLER}-01"):
        httpx.get(f"{system.risk_url}/risk-service/runs", headers={"traceparent": odd})
    eventually(lambda: len(collector.named("GET /risk-service/runs")) == 4, 20, "four spans")
    system.close()

    assert {span.name for span in collector.spans} == {"GET /risk-service/runs"}
    assert TRACE not in {span.trace for span in collector.spans}
    assert {span.parent for span in collector.spans} == {""}


def test_a_collector_that_does_not_respond_does_not_keep_a_process_from_ending(build: Build) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        system = build(debtors=0, RECOVERY_TRACES="true", OTEL_EXPORTER_OTLP_ENDPOINT=url)
        system.start("sqs", "risk-api")
        httpx.get(f"{system.risk_url}/risk-service/runs")
        began = time.monotonic()

        assert system.stop("risk-api") == 0
        assert time.monotonic() - began < 8  # and not the exporter's 10
    system.close()


def test_a_collector_that_is_away_delays_nothing(build: Build) -> None:
    system = build(debtors=200, RECOVERY_TRACES="true", OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")
    system.start()

    assert completed(system, started(system, None))["batches_dead"] == 0
    system.close()
