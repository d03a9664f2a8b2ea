"""Processes end as they should: asked once they finish, asked twice they are gone, failed they say so."""

import json
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
    """Start the demo program; its log is `tmp_path / "log"`."""
    started = []

    def run(*arguments: str) -> "subprocess.Popen[Any]":
        command = python(repository() / "tests" / "support" / "demo_api.py", *arguments)
        with (tmp_path / "log").open("wb") as log:
            started.append(start(command, stdout=subprocess.PIPE, stderr=log, env=environment()))
        return started[-1]

    yield run
    for process in started:
        stop(process)
        process.stdout.close()


def serve(demo: Starter, port: int) -> "subprocess.Popen[Any]":
    process = demo("serve", str(port), "sqlite:///unused")
    eventually(lambda: is_listening(port), 20, "the API")
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_api_asked_to_stop_finishes_its_requests_and_exits_with_0(demo: Starter, number: signal.Signals) -> None:
    port = free_port()
    process = serve(demo, port)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"http://127.0.0.1:{port}/demo/slow?seconds=1.2", timeout=10)
        in_work(port)

        process.send_signal(number)

        assert slow.result().text == '"done"'
        assert process.wait(10) == 0


def in_work(port: int) -> None:
    """Return once the server has taken the request that was sent before this one: it accepts in order."""
    httpx.get(f"http://127.0.0.1:{port}/demo/items/1")


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

        process = demo("serve", str(holder.getsockname()[1]), "sqlite:///unused")

        assert process.wait(20) == 1
    assert "address already in use" in (tmp_path / "log").read_text()


def test_a_loop_asked_to_stop_finishes_and_exits_with_0(demo: Starter, tmp_path: Path) -> None:
    process = demo("loop")
    assert process.stdout.readline() == b"running\n"

    process.terminate()

    assert process.wait(10) == 0
    assert process.stdout.read() == b"finished\n"
    assert events(tmp_path / "log") == ["process.stopping"]


def test_a_loop_that_fails_logs_why_and_exits_with_1(demo: Starter, tmp_path: Path) -> None:
    process = demo("loop", "fail")
    process.stdout.readline()

    process.terminate()

    assert process.wait(10) == 1
    assert events(tmp_path / "log") == ["process.stopping", "process.failed"]


def test_a_second_signal_ends_a_process_that_hangs(demo: Starter, tmp_path: Path) -> None:
    process = demo("loop", "hang")
    process.stdout.readline()
    process.terminate()
    eventually(lambda: events(tmp_path / "log"), what="the first signal")

    process.terminate()

    assert process.wait(5) == -signal.SIGTERM


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
