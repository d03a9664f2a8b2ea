"""A request commits or expires, never both."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest
from tests.service_kit.http.responses import assert_problem
from tests.support.demo_api import REQUEST_SECONDS

from service_kit.http.middleware.deadline import Deadline, DeadlinePassedError


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
