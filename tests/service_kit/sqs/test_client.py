"""Our SQS client alone: servers that fail in part or in whole, and local servers that forget their queues."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from structlog.testing import capture_logs
from tests.support.processes import free_port
from tests.support.servers import moto_server

from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import MAX_MESSAGE_BYTES, MAX_REQUEST_BYTES, Outgoing
from service_kit.sqs.outages import QueueMissing, QueuesUnavailable, describe_sqs_outage, is_sqs_unavailable
from service_kit.sqs.specs import QueueSpec


def messages(count: int) -> list[Outgoing]:
    return [Outgoing(str(i), f"body {i}") for i in range(count)]


@dataclass
class StubSqs:
    """A server for SendMessageBatch with chosen failures: entries to reject by body, statuses to respond in turn."""

    url: str
    refuse: set[str] = field(default_factory=set)
    statuses: list[int] = field(default_factory=list)
    error: str = "InternalError"
    most_bytes: int = MAX_REQUEST_BYTES
    requests: list[int] = field(default_factory=list)  # the number of messages in each
    actions: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def respond(self, target: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        with self.lock:
            self.actions.append(target.removeprefix("AmazonSQS."))
            if self.actions[-1] == "GetQueueUrl":
                return 200, {"QueueUrl": f"{self.url}/queue"}
            self.requests.append(len(request["Entries"]))
            status = self.statuses.pop(0) if self.statuses else 200
        if sum(len(e["MessageBody"]) for e in request["Entries"]) > self.most_bytes:
            return 400, {"__type": "com.amazonaws.sqs#BatchRequestTooLong", "message": "too long"}
        if status != 200:
            return status, {"__type": f"com.amazonaws.sqs#{self.error}", "message": "as chosen"}
        refused = [e for e in request["Entries"] if e["MessageBody"] in self.refuse]
        taken = [e for e in request["Entries"] if e not in refused]
        return 200, {
            "Successful": [{"Id": e["Id"], "MessageId": "m", "MD5OfMessageBody": ""} for e in taken],
            "Failed": [{"Id": e["Id"], "SenderFault": False, "Code": "InternalError"} for e in refused],
        }


@pytest.fixture
def stub(aws_environment: None) -> Iterator[StubSqs]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status, response = stub.respond(self.headers["X-Amz-Target"], request)
            body = json.dumps(response).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        stub = StubSqs(f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield stub
        server.shutdown()
        thread.join()


@pytest.mark.anyio
async def test_entries_that_the_server_rejects_are_named(stub: StubSqs) -> None:
    stub.refuse = {"body 3", "body 12"}

    async with Sqs("eu-west-1", stub.url) as sqs:
        assert await sqs.send("queue", messages(15)) == ["3", "12"]


@pytest.mark.anyio
async def test_a_server_with_the_older_limit_gets_smaller_requests_from_then_on(stub: StubSqs) -> None:
    stub.most_bytes = MAX_MESSAGE_BYTES
    large = [Outgoing(str(i), "x" * (MAX_MESSAGE_BYTES // 2)) for i in range(4)]

    async with Sqs("eu-west-1", stub.url) as sqs:
        assert await sqs.send("queue", large) == []
        assert await sqs.send("queue", large) == []

    assert stub.requests == [4, 2, 2, 2, 2]


@pytest.mark.anyio
async def test_a_request_that_fails_beside_one_that_does_not_names_all_its_messages(stub: StubSqs) -> None:
    stub.statuses = [403]
    stub.error = "AccessDenied"

    async with Sqs("eu-west-1", stub.url) as sqs:
        failed = await sqs.send("queue", messages(15))

    assert failed in ([str(i) for i in range(10)], [str(i) for i in range(10, 15)])


@pytest.mark.anyio
async def test_a_transient_error_of_the_server_is_retried(stub: StubSqs) -> None:
    stub.statuses = [500, 503]

    async with Sqs("eu-west-1", stub.url) as sqs:
        assert await sqs.send("queue", messages(1)) == []


@pytest.mark.anyio
async def test_a_mistake_of_ours_is_raised_even_when_other_requests_succeed(stub: StubSqs) -> None:
    stub.statuses = [400]
    stub.error = "InvalidAttributeName"

    async with Sqs("eu-west-1", stub.url) as sqs:
        with pytest.raises(ClientError) as caught:
            await sqs.send("queue", messages(15))

    assert not is_sqs_unavailable(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(("status", "error"), [(403, "AccessDenied"), (400, "RequestThrottled")])
async def test_a_server_that_only_rejects_is_unavailable(stub: StubSqs, status: int, error: str) -> None:
    stub.statuses = [status] * 10
    stub.error = error

    async with Sqs("eu-west-1", stub.url) as sqs:
        with pytest.raises(ClientError) as caught:
            await sqs.send("queue", messages(1))

    assert is_sqs_unavailable(caught.value)
    assert error in describe_sqs_outage(caught.value)


@pytest.mark.anyio
async def test_a_server_that_does_not_listen_is_unavailable(aws_environment: None) -> None:
    async with Sqs("eu-west-1", f"http://127.0.0.1:{free_port()}") as sqs:
        with pytest.raises(QueuesUnavailable) as caught:
            await sqs.send("queue", messages(1))

    assert is_sqs_unavailable(caught.value)
    assert describe_sqs_outage(caught.value) == "the queue service cannot be reached at AWS_ENDPOINT_URL_SQS"


@pytest.mark.anyio
async def test_a_local_server_that_lost_its_memory_gets_its_queues_again(
    aws_environment: None, tmp_path: Path, queue_names: Callable[[str], str]
) -> None:
    spec = QueueSpec(queue_names("work"), dead_letter=queue_names("dead"), max_receive_count=2)
    port = free_port()
    async with contextlib.AsyncExitStack() as stack:
        logs = stack.enter_context(capture_logs())
        with moto_server(tmp_path, port) as url:
            forgetful = await stack.enter_async_context(Sqs("eu-west-1", url, create_missing=[spec]))
            plain = await stack.enter_async_context(Sqs("eu-west-1", url))
            assert await forgetful.send(spec.name, messages(1)) == []
            assert (await plain.depth(spec.name)).waiting == 1
        assert levels(logs) == ["info"]
        with moto_server(tmp_path, port):
            with pytest.raises(QueueMissing):
                await plain.receive(spec.name)
            assert await forgetful.receive(spec.name) == []
            assert (await plain.depth(str(spec.dead_letter))).waiting == 0
    assert levels(logs) == ["info", "warning"]


@pytest.mark.anyio
async def test_calls_that_miss_a_queue_at_once_create_it_once(sqs_url: str, queue_names: Callable[[str], str]) -> None:
    spec = QueueSpec(queue_names("work"), dead_letter=queue_names("dead"))
    with capture_logs() as logs:
        async with Sqs("eu-west-1", sqs_url, create_missing=[spec]) as sqs:
            found = await asyncio.gather(*(sqs.receive(spec.name) for _ in range(8)))

    assert found == [[]] * 8
    assert levels(logs) == ["info"]


def levels(logs: list[MutableMapping[str, Any]]) -> list[str]:
    return [line["log_level"] for line in logs if line["event"] == "sqs.queue.created"]


@pytest.mark.anyio
async def test_queues_made_here_are_encrypted_at_rest(sqs_url: str, queue_names: Callable[[str], str]) -> None:
    spec = QueueSpec(queue_names("work"), dead_letter=queue_names("dead"))
    async with Sqs("eu-west-1", sqs_url) as sqs:
        await sqs.ensure_queues([spec])
        await sqs.ensure_queues([spec])

        client = await sqs._connection.client()
        for queue in (spec.name, spec.dead_letter):
            url = (await client.get_queue_url(QueueName=str(queue)))["QueueUrl"]
            found = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["SqsManagedSseEnabled"])
            assert found["Attributes"]["SqsManagedSseEnabled"] == "true"


@pytest.mark.anyio
async def test_a_ping_asks_the_server_each_time_and_only_for_what_every_process_may_do(stub: StubSqs) -> None:
    async with Sqs("eu-west-1", stub.url) as sqs:
        await sqs.send("queue", messages(1))
        stub.actions.clear()

        await sqs.ping("queue")
        await sqs.ping("queue", "queue")

    assert stub.actions == ["GetQueueUrl"] * 3
