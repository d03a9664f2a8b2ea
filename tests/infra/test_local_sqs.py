"""The local SQS, as `smartrecover up` starts it: what it does in its own way is what SQS does."""

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from tests.support.processes import environment, free_port, running

from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.specs import QueueSpec
from smartrecover.stack import Stack

BODY = "x" * 200_000
QUEUE = QueueSpec("work")


def resident(process_id: int) -> int:
    """Bytes of memory that a process uses."""
    status = Path(f"/proc/{process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:")) * 1024


async def through(url: str, messages: int) -> None:
    """Send, receive and delete so many messages, a few at a time."""
    async with Sqs("eu-central-1", url) as sqs:
        await sqs.ensure_queues([QUEUE])
        for _ in range(messages // 5):
            assert await sqs.send(QUEUE.name, [Outgoing(str(at), BODY) for at in range(5)]) == []
            received = await sqs.receive(QUEUE.name, wait_seconds=5)
            assert len(received) == 5
            assert await sqs.delete(QUEUE.name, [message.receipt_handle for message in received]) == []


@pytest.fixture(scope="module")
def local_sqs(tmp_path_factory: pytest.TempPathFactory, aws_environment: None) -> Iterator[tuple[str, int]]:
    """Where a local SQS answers, and its process id."""
    folder = tmp_path_factory.mktemp("sqs")
    stack = Stack(folder, free_port(), free_port(), free_port())
    with running(stack.sqs().arguments, stack.sqs_port, folder / "log", cwd=folder, env=environment()) as server:
        yield f"http://127.0.0.1:{stack.sqs_port}", server.pid


def test_messages_that_were_deleted_take_no_memory(local_sqs: tuple[str, int]) -> None:
    url, process_id = local_sqs
    asyncio.run(through(url, 50))
    before = resident(process_id)
    asyncio.run(through(url, 500))

    assert resident(process_id) - before < 500 * len(BODY) / 4


def test_a_message_comes_out_as_it_went_in(local_sqs: tuple[str, int]) -> None:
    bodies = ['{"quoted": "\\"\\\\"}', "tab\tline\nend", "Größe € 𝄞 \u2028", "<b>&amp;</b>"]

    async def there_and_back() -> list[str]:
        async with Sqs("eu-central-1", local_sqs[0]) as sqs:
            await sqs.ensure_queues([QueueSpec("texts")])
            assert await sqs.send("texts", [Outgoing(str(at), body) for at, body in enumerate(bodies)]) == []
            return [message.body for message in await sqs.receive("texts", wait_seconds=5)]

    assert asyncio.run(there_and_back()) == bodies


def test_a_message_is_kept_no_longer_than_its_queue_says(local_sqs: tuple[str, int]) -> None:
    async def until_gone() -> int:
        short, long = QueueSpec("short", retention=1), QueueSpec("long", retention=60)
        async with Sqs("eu-central-1", local_sqs[0]) as sqs, asyncio.timeout(30):
            await sqs.ensure_queues([short, long])
            for queue in (short, long):
                assert await sqs.send(queue.name, [Outgoing("1", "x")]) == []
            while await sqs.receive(short.name, visibility=0):
                await asyncio.sleep(0.02)
            return len(await sqs.receive(long.name))

    assert asyncio.run(until_gone()) == 1


LIST = {"X-Amz-Target": "AmazonSQS.ListQueues", "Content-Type": "application/x-amz-json-1.0"}
PURGE = LIST | {"X-Amz-Target": "AmazonSQS.PurgeQueue"}


def signed_for(service: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential=local/20260301/us-east-1/{service}/aws4_request"


def test_a_client_of_this_machine_is_served(local_sqs: tuple[str, int]) -> None:
    for name in ("127.0.0.1", "LOCALHOST:1", "[::1]", "[::1]:9324"):
        assert httpx.post(local_sqs[0], content=b"{}", headers=LIST | {"Host": name}).status_code == 200
    assert httpx.get(f"{local_sqs[0]}/healthz").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (PURGE | {"Origin": "https://evil.example"}, 403),
        (PURGE | {"Origin": "null"}, 403),
        (PURGE | {"Origin": ""}, 403),
        (PURGE | {"Sec-Fetch-Site": "cross-site"}, 403),
        (PURGE | {"Sec-Fetch-Site": "same-site"}, 403),
        (PURGE | {"Sec-Fetch-Site": "same-origin"}, 403),
        (PURGE | {"Host": "evil.example"}, 403),
        (PURGE | {"Host": "127.0.0.1.evil.example:9324"}, 403),
        (PURGE | {"Host": "evil.example@127.0.0.1"}, 403),
        (PURGE | {"Host": ""}, 403),
        (PURGE | {"X-Amz-Target": "DynamoDB_20120810.ListTables"}, 404),
        (PURGE | {"X-Amz-Target": "AmazonSQS.PurgeQueue, AmazonSQS.ListQueues"}, 404),
        ({"Content-Type": "text/plain"}, 404),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 404),
        ({"Content-Type": "application/x-www-form-urlencoded", "Authorization": signed_for("sqs")}, 404),
    ],
)
def test_no_web_page_and_no_other_service_reaches_the_queues(
    local_sqs: tuple[str, int], queue_names: Callable[[str], str], headers: dict[str, str], status: int
) -> None:
    url, name = local_sqs[0], queue_names("precious")
    queue_url = f"{url}/123456789012/{name}"
    form = urlencode({"Action": "PurgeQueue", "QueueUrl": queue_url, "Version": "2012-11-05"})

    async def left() -> int:
        async with Sqs("us-east-1", url) as sqs:
            await sqs.ensure_queues([QueueSpec(name)])
            assert await sqs.send(name, [Outgoing("1", "x")]) == []
            body = form if "form" in headers["Content-Type"] else json.dumps({"QueueUrl": queue_url})
            answer = httpx.post(url, content=body, headers=headers)
            assert answer.status_code == status
            assert not [header for header in answer.headers if header.startswith("access-control")]
            return (await sqs.depth(name)).waiting

    assert asyncio.run(left()) == 1


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "PUT"])
@pytest.mark.parametrize(
    "path",
    ["/moto-api/reset", "/moto-api/data.json", "/moto-api/", "//moto-api/reset", "/latest/meta-data/", "/x", "/"],
)
def test_nothing_else_of_moto_is_there(local_sqs: tuple[str, int], method: str, path: str) -> None:
    answer = httpx.request(method, f"{local_sqs[0]}{path}", headers={"Authorization": signed_for("s3")})

    assert answer.status_code == 404
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_page_learns_at_the_preflight_that_it_may_not(local_sqs: tuple[str, int]) -> None:
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Headers": "x-amz-target"}
    answer = httpx.options(local_sqs[0], headers=asked | {"Access-Control-Request-Method": "POST"})

    assert answer.status_code == 403
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_refusal_of_a_large_request_can_be_read(local_sqs: tuple[str, int]) -> None:
    headers = PURGE | {"Origin": "https://evil.example"}
    with httpx.Client(base_url=local_sqs[0]) as client:
        answers = [client.post("/", content=b"x" * 5_000_000, headers=headers) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [403, 403, 403]


def test_a_request_signed_for_another_service_is_answered_by_sqs(local_sqs: tuple[str, int]) -> None:
    answer = httpx.post(local_sqs[0], content=b"{}", headers=LIST | {"Authorization": signed_for("dynamodb")})

    assert answer.json().keys() <= {"QueueUrls"}


def test_a_further_host_name_can_be_given(tmp_path: Path) -> None:
    port = free_port()
    command = (sys.executable, "-m", "smartrecover.sqs_guard", "--port", str(port), "--name", "sqs")
    with running(command, port, tmp_path / "log", cwd=tmp_path, env=environment()):
        for name, status in (("sqs:5000", 200), ("sqs", 200), ("127.0.0.1", 200), ("sqs.evil.example", 403)):
            headers = LIST | {"Host": name, "Authorization": signed_for("sqs")}
            answer = httpx.post(f"http://127.0.0.1:{port}", content=b"{}", headers=headers)
            assert answer.status_code == status


def test_what_is_no_json_is_refused_and_harms_no_other_request(local_sqs: tuple[str, int]) -> None:
    url, process_id = local_sqs

    answer = httpx.post(url, content=b'{"broken', headers=LIST)

    assert answer.status_code < 500
    asyncio.run(through(url, 5))
    assert resident(process_id)
