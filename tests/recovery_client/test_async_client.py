"""The client that does many things at once: whose credentials, what its errors say, events and downloads."""

from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from recovery_client import debt, risk
from recovery_client.async_client import AsyncRecoveryClient
from recovery_client.errors import RejectedError, UnreachableError
from recovery_client.events import Event

Answer = Callable[[httpx.Request], httpx.Response]
RISK, DEBT = "http://risk.test", "http://debt.test"


def a_client(answer: Answer) -> AsyncRecoveryClient:
    return AsyncRecoveryClient(RISK, DEBT, httpx.MockTransport(answer))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


class Parts(httpx.AsyncByteStream):
    """A body that arrives in these parts, and then breaks if asked."""

    def __init__(self, *parts: bytes, breaks: bool = False) -> None:
        self.parts, self.breaks = parts, breaks

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part
        if self.breaks:
            raise httpx.ReadError("connection reset")


async def test_each_call_carries_the_credential_of_the_person_who_asks() -> None:
    seen: list[tuple[str, str | None]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append((str(request.url), request.headers.get("Authorization")))
        return httpx.Response(200, json={"actor": "ada"})

    async with a_client(answer) as client:
        assert (await client.ask(risk.me(), "key-1"))["actor"] == "ada"
        await client.ask(debt.me(), "key-2")
        await client.ask(risk.debtors(q="a b", limit=None))
    assert seen == [
        (f"{RISK}/risk-service/me", "Bearer key-1"),
        (f"{DEBT}/debt-service/me", "Bearer key-2"),
        (f"{RISK}/risk-service/debtors?q=a+b", None),
    ]


@pytest.mark.parametrize(
    ("status", "body", "detail"),
    [
        (401, {"title": "Unauthorized", "detail": "the key is unknown"}, "the key is unknown"),
        (403, {"detail": "this takes the role operator"}, "this takes the role operator"),
        (412, {"detail": "version 4 is current"}, "version 4 is current"),
        (422, {"detail": "invalid", "errors": [{"field": "limit", "message": "too small"}]}, "limit: too small"),
        (429, {"detail": "too many requests"}, "too many requests"),
        (503, {"detail": "the database is away"}, "the database is away"),
        (502, None, "Bad Gateway"),
        (500, ["a list"], "Internal Server Error"),
    ],
)
async def test_a_problem_becomes_an_error_with_its_status_and_detail(status: int, body: object, detail: str) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        shown = httpx.Response(status, text="<html>") if body is None else httpx.Response(status, json=body)
        shown.headers["Retry-After"] = "7"
        return shown

    async with a_client(answer) as client:
        with pytest.raises(RejectedError) as caught:
            await client.ask(debt.queues())
    error = caught.value
    assert (error.service, error.status, error.detail, error.retry_after) == ("debt-service", status, detail, "7")


async def test_the_fields_of_a_problem_are_at_hand() -> None:
    problem = {"detail": "invalid", "errors": [{"field": "limit", "message": "too small"}]}
    async with a_client(lambda _: httpx.Response(422, json=problem)) as client:
        with pytest.raises(RejectedError) as caught:
            await client.ask(risk.preview(limit=0))
    assert caught.value.field_errors == {"limit": "too small"}


@pytest.mark.parametrize("failure", [httpx.ConnectError("refused"), httpx.ReadTimeout("")])
async def test_an_api_that_does_not_answer_is_an_error_of_its_own(failure: Exception) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise failure

    async with a_client(answer) as client:
        with pytest.raises(UnreachableError, match=r"^cannot reach http://risk\.test/risk-service/runs/r1: ") as caught:
            await client.ask(risk.run("r1"))
    assert caught.value.service == "risk-service"


@pytest.mark.parametrize("body", [Parts(b'{"ite', breaks=True), Parts(b"<html>")])
async def test_an_answer_that_breaks_or_is_no_json_is_no_answer(body: Parts) -> None:
    async with a_client(lambda _: httpx.Response(200, stream=body)) as client:
        with pytest.raises(UnreachableError):
            await client.ask(risk.runs())


async def test_events_arrive_one_by_one_with_signs_of_life_in_between() -> None:
    body = Parts(b"event: run\nda", b'ta: {"a"\ndata: :1}\n\n: still here\n\nid: 7\n\ndata:x\n\n')
    async with a_client(lambda _: httpx.Response(200, stream=body)) as client:
        events = [event async for event in client.events(risk.run_events("r1"))]
    assert events == [Event("run", '{"a"\n:1}'), None, Event("message", "x")]


async def test_events_that_break_off_say_that_the_api_does_not_answer() -> None:
    body = Parts(b"data: 1\n\n", breaks=True)
    async with a_client(lambda _: httpx.Response(200, stream=body)) as client:
        events = client.events(risk.run_events("r1"))
        assert await anext(events) == Event("message", "1")
        with pytest.raises(UnreachableError):
            await anext(events)


async def test_a_stream_that_is_refused_is_a_problem() -> None:
    async with a_client(lambda _: httpx.Response(429, json={"detail": "50 streams"})) as client:
        with pytest.raises(RejectedError, match="50 streams"):
            await anext(client.events(risk.run_events("r1")))


async def test_a_download_is_asked_for_by_its_media_type() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=Parts(request.headers["Accept"].encode(), b"\r\n1,2"))

    async with a_client(answer) as client:
        parts = [part async for part in client.download(debt.decisions("r1"), None, "text/csv")]
    assert b"".join(parts) == b"text/csv\r\n1,2"
