"""Processes end as they should: one signal lets them finish, the same one again kills them, and a failure is logged."""

import os
import signal
from pathlib import Path

import pytest
from tests.service_kit.programs import Starter, events, loop, serve
from tests.support.processes import eventually, free_port

from service_kit.lifecycle import Stop


def test_a_loop_has_a_lower_priority_than_an_api(starter: Starter) -> None:
    api, working = serve(starter, free_port()), loop(starter)

    assert os.getpriority(os.PRIO_PROCESS, working.pid) > os.getpriority(os.PRIO_PROCESS, api.pid)


def test_a_loop_asked_to_stop_finishes_and_exits_with_0(starter: Starter, tmp_path: Path) -> None:
    process = loop(starter)

    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"asked\n"
    process.send_signal(
        signal.SIGTERM
    )  # as when Ctrl-C reaches a process group, and then the parent stops its children
    eventually(lambda: len(events(tmp_path / "log")) == 2)
    process.stdin.write(b"go on\n")
    process.stdin.flush()

    assert process.wait(10) == 0
    assert process.stdout.read() == b"finished\n"
    assert events(tmp_path / "log") == ["process.stopping"] * 2


def test_a_loop_that_fails_logs_why_and_exits_with_1(starter: Starter, tmp_path: Path) -> None:
    process = loop(starter, "fail")

    process.terminate()
    process.stdin.close()

    assert process.wait(10) == 1
    assert events(tmp_path / "log") == ["process.stopping", "process.failed"]


def test_the_same_signal_again_ends_a_process_that_hangs(starter: Starter) -> None:
    process = loop(starter, "hang")
    process.terminate()
    assert process.stdout.readline() == b"asked\n"

    process.terminate()

    assert process.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("how", ["hang", "leave-a-thread"])
def test_a_loop_that_does_not_finish_in_time_is_killed_and_says_so(starter: Starter, tmp_path: Path, how: str) -> None:
    process = loop(starter, how, "soon")

    process.terminate()
    process.stdin.close()

    assert process.wait(10) == 1
    assert events(tmp_path / "log") == ["process.stopping", "process.stop_overdue"]


@pytest.mark.anyio
async def test_waiting_for_a_stop_returns_whether_it_came() -> None:
    wanted = Stop()

    assert not await wanted.wait(0.01)
    assert not wanted.is_set()
    wanted.set()
    assert await wanted.wait(0.01)
    assert await wanted.wait()
