"""Processes end as they should: asked once they finish, asked twice they are gone, failed they say so."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.support.processes import environment, eventually, free_port, is_listening, python, repository, start, stop

from service_kit.lifecycle import Stop

Starter = Callable[..., "subprocess.Popen[Any]"]


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Starter]:
    """Start one of the demo programs; its log is `tmp_path / "log"`."""
    started = []

    def run(program: str, *arguments: str) -> "subprocess.Popen[Any]":
        command = python(repository() / "tests" / "support" / program, *arguments)
        with (tmp_path / "log").open("wb") as log:
            started.append(start(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment()))
        return started[-1]

    yield run
    for process in started:
        stop(process)
        process.stdin.close()
        process.stdout.close()


def serve(demo: Starter, port: int) -> "subprocess.Popen[Any]":
    process = demo("demo_api.py", str(port), "sqlite:///unused")
    eventually(lambda: is_listening(port), 20, "the API")
    return process


def test_an_api_asked_to_stop_finishes_its_requests_and_exits_with_0(demo: Starter) -> None:
    port = free_port()
    process = serve(demo, port)
    address = f"http://127.0.0.1:{port}/demo"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{address}/slow?seconds=1", timeout=10)
        eventually(lambda: httpx.get(f"{address}/slow-so-far").json() == 1)

        process.terminate()

        assert slow.result().text == '"done"'
        assert process.wait(10) == 0


def test_a_stream_is_told_to_end(demo: Starter) -> None:
    port = free_port()
    process = serve(demo, port)
    with httpx.stream("GET", f"http://127.0.0.1:{port}/demo/stream", timeout=10) as answer:
        lines = answer.iter_lines()
        assert next(lines) == "tick"

        process.terminate()

        assert list(lines)[-1] == "bye"
    assert process.wait(10) == 0


def test_an_api_that_cannot_have_its_port_says_so_and_exits_with_1(demo: Starter, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()

        process = demo("demo_api.py", str(holder.getsockname()[1]), "sqlite:///unused")

        assert process.wait(20) == 1
    assert "address already in use" in (tmp_path / "log").read_text()


def test_a_loop_gives_way_to_the_apis_of_its_machine(demo: Starter) -> None:
    api, working = serve(demo, free_port()), loop(demo)

    assert os.getpriority(os.PRIO_PROCESS, working.pid) > os.getpriority(os.PRIO_PROCESS, api.pid)


def test_a_loop_asked_to_stop_finishes_and_exits_with_0(demo: Starter, tmp_path: Path) -> None:
    process = loop(demo)

    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == b"asked\n"
    process.send_signal(signal.SIGTERM)  # as when Ctrl-C reaches a group of processes, and then their parent asks
    eventually(lambda: len(events(tmp_path / "log")) == 2)
    process.stdin.write(b"go on\n")
    process.stdin.flush()

    assert process.wait(10) == 0
    assert process.stdout.read() == b"finished\n"
    assert events(tmp_path / "log") == ["process.stopping"] * 2


def test_a_loop_that_fails_logs_why_and_exits_with_1(demo: Starter, tmp_path: Path) -> None:
    process = loop(demo, "fail")

    process.terminate()
    process.stdin.close()

    assert process.wait(10) == 1
    assert events(tmp_path / "log") == ["process.stopping", "process.failed"]


def test_the_same_signal_again_ends_a_process_that_hangs(demo: Starter) -> None:
    process = loop(demo, "hang")
    process.terminate()
    assert process.stdout.readline() == b"asked\n"

    process.terminate()

    assert process.wait(5) == -signal.SIGTERM


@pytest.mark.parametrize("how", ["hang", "leave-a-thread"])
def test_a_loop_that_cannot_finish_in_time_is_ended_and_says_so(demo: Starter, tmp_path: Path, how: str) -> None:
    process = loop(demo, how, "soon")

    process.terminate()
    process.stdin.close()

    assert process.wait(10) == 1
    assert events(tmp_path / "log") == ["process.stopping", "process.stop_overdue"]


def loop(demo: Starter, *how: str) -> "subprocess.Popen[Any]":
    process = demo("demo_loop.py", *how)
    assert process.stdout.readline() == b"running\n"
    return process


def events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_text().splitlines()]


@pytest.mark.anyio
async def test_waiting_for_a_stop_tells_whether_it_came() -> None:
    wanted = Stop()

    assert not await wanted.wait(0.01)
    assert not wanted.is_set()
    wanted.set()
    assert await wanted.wait(0.01)
    assert await wanted.wait()
