"""A request commits or expires, never both."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem
from tests.support.demo_api import REQUEST_SECONDS

from service_kit.http.middleware.deadline import Deadline, DeadlineMiddleware, DeadlinePassedError


def test_an_expired_request_can_take_no_effect() -> None:
    deadline = Deadline()
    deadline.check()

    assert deadline.expire()

    for late in (deadline.check, deadline.commit):
        with pytest.raises(DeadlinePassedError):
            late()


def test_a_committing_request_cannot_expire() -> None:
    deadline = Deadline()
    deadline.commit()

    assert not deadline.expire()
    deadline.check()


def test_of_two_at_the_same_moment_one_wins() -> None:
    def commits(deadline: Deadline, start: Barrier) -> bool:
        start.wait()
        try:
            deadline.commit()
        except DeadlinePassedError:
            return False
        return True

    def expires(deadline: Deadline, start: Barrier) -> bool:
        start.wait()
        return deadline.expire()

    with ThreadPoolExecutor(2) as pool:
        for _ in range(200):
            deadline, start = Deadline(), Barrier(2)
            sides = [pool.submit(side, deadline, start) for side in (commits, expires)]
            assert sum(side.result() for side in sides) == 1


def test_a_request_that_takes_too_long_gets_a_503(demo: httpx.Client) -> None:
    began = time.monotonic()
    try:
        response = demo.get("/demo/held")  # which ends only after it is released

        assert_problem(response, 503)
        assert response.headers["retry-after"]
        assert time.monotonic() - began >= REQUEST_SECONDS
    finally:
        demo.get("/demo/release")


def test_a_stream_may_take_longer_than_a_request(demo: httpx.Client) -> None:
    began = time.monotonic()
    with demo.stream("GET", "/demo/stream") as response:
        for line in response.iter_lines():
            assert line == "tick"
            if time.monotonic() - began > REQUEST_SECONDS + 0.5:
                break


Work = Callable[[Deadline], Awaitable[None]]


class Asked:
    """An application behind a deadline of a moment, and the statuses of its responses."""

    def __init__(self, work: Work) -> None:
        self.statuses: list[int] = []
        self.begun = asyncio.Event()
        self._work = work

    async def ask(self) -> None:
        await DeadlineMiddleware(self._serve, 0.01)({"type": "http"}, self._receive, self._send)

    async def _serve(self, scope: Any, _receive: Any, send: Any) -> None:
        self.begun.set()
        try:
            await self._work(scope["deadline"])
        finally:
            await send({"type": "http.response.start", "status": 200})

    async def _receive(self) -> Any:
        raise AssertionError("nothing is read")

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.statuses.append(message["status"])


async def never_ends(_deadline: Deadline) -> None:
    await asyncio.Event().wait()


@pytest.mark.anyio
async def test_what_a_late_application_still_sends_is_dropped() -> None:
    asked = Asked(never_ends)

    await asked.ask()

    assert asked.statuses == [503]


@pytest.mark.anyio
async def test_a_request_that_commits_is_waited_for() -> None:
    async def commit(deadline: Deadline) -> None:
        deadline.commit()
        await asyncio.sleep(0.05)

    asked = Asked(commit)
    await asked.ask()

    assert asked.statuses == [200]


@pytest.mark.anyio
async def test_a_request_that_the_server_cancels_is_no_late_one() -> None:
    async def commit_and_hang(deadline: Deadline) -> None:
        deadline.commit()
        await asyncio.Event().wait()

    asked = Asked(commit_and_hang)
    task = asyncio.create_task(asked.ask())
    await asked.begun.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert 503 not in asked.statuses
