"""Several workers behind one port: they share its requests and their metrics, are replaced, and end together."""

import contextlib
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from tests.support.processes import environment, eventually, free_port, is_listening, python, running

import service_kit.http.event_streams  # noqa: F401 - one of its gauges is a sum
from service_kit.observability import metrics

WORKERS = 2
PROMISED_SECONDS = 20
PATIENCE = 60


@dataclass(frozen=True)
class Served:
    """The workers of one test, their folder and what they log."""

    process: "subprocess.Popen[Any]"
    port: int
    folder: Path

    def get(self, path: str) -> Any:
        """Ask over a connection of its own, which any worker may accept."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            content = response.read().decode()
            assert response.status == 200, content
            return json.loads(content) if response.headers["content-type"] == "application/json" else content
        finally:
            connection.close()

    def pids(self) -> set[int]:
        """Those who answer a burst of requests."""
        with ThreadPoolExecutor(8) as pool:
            return set(pool.map(lambda _: self.get("/demo/pid"), range(32)))

    def all_at_work(self) -> set[int]:
        found: set[int] = set()

        def complete() -> bool:
            found.update(pid for pid in self.pids() if is_running(pid))
            return len(found) == WORKERS

        eventually(complete, PATIENCE, "a response of every worker")
        return found

    def value(self, series: str) -> float:
        [value] = re.findall(rf"^{re.escape(series)} (\S+)$", self.get("/metrics"), re.MULTILINE)
        return float(value)

    def logged(self) -> str:
        return (self.folder / "log").read_text()


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    port = free_port()
    command = python("-m", "tests.service_kit.http.serving.worker_api", str(port), str(WORKERS))
    env = environment(TMPDIR=str(folder))
    with running(command, port, folder / "log", env=env, cwd=folder) as process:
        yield Served(process, port, folder)


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Workers that serve several tests, which leave them running."""
    with serving(tmp_path_factory.mktemp("workers")) as served:
        yield served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Workers of one test, which may end them."""
    with serving(tmp_path) as served:
        yield served


def test_the_workers_share_the_load_and_each_shows_what_all_have_counted(lasting: Served) -> None:
    lasting.all_at_work()
    pid_requests = 'http_request_seconds_count{method="GET",route="/demo/pid",status="200"}'
    before = lasting.value(pid_requests)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda _: lasting.get("/demo/pid"), range(200)))
    lasting.get("/demo/seen/7")

    # A response leaves before it is counted.
    eventually(lambda: lasting.value(pid_requests) == before + 200, PATIENCE, "every request counted")
    assert {lasting.value("demo_seen") for _ in range(10)} == {7}


def test_a_worker_that_is_killed_is_replaced_and_what_it_counted_stays(lasting: Served) -> None:
    victim, other = lasting.all_at_work()
    eventually(lambda: lasting.get("/demo/seen/9") == victim, PATIENCE, "a value that the victim alone has")
    counted = 'http_request_seconds_count{method="GET",route="/demo/pid",status="200"}'
    before = lasting.value(counted)

    os.kill(victim, signal.SIGKILL)

    eventually(lambda: "process.worker.died" in lasting.logged(), PATIENCE, "a log line")
    now = lasting.all_at_work()
    assert other in now
    assert victim not in now
    assert lasting.value(counted) >= before


def test_asked_to_stop_all_finish_their_requests_and_leave_nothing(served: Served) -> None:
    pids = served.all_at_work()
    with ThreadPoolExecutor(8) as pool:
        held = [pool.submit(served.get, f"/demo/held/{number}") for number in range(8)]
        eventually(lambda: len(list(served.folder.glob("held-*"))) == 8, PATIENCE, "eight requests begun")

        served.process.terminate()
        eventually(lambda: served.logged().count("process.stopping") == 1 + WORKERS, PATIENCE, "all asked")
        (served.folder / "released").touch()

        assert {request.result() for request in held} <= pids
        assert served.process.wait(PROMISED_SECONDS) == 0
    assert not is_listening(served.port)
    assert not any(map(is_running, pids))
    assert not list(served.folder.glob("smartrecover-metrics-*"))
    assert "process.worker.died" not in served.logged()


def test_workers_whose_parent_is_killed_end_too(served: Served) -> None:
    pids = served.all_at_work()

    served.process.kill()
    served.process.wait(PATIENCE)

    eventually(lambda: not any(map(is_running, pids)), PATIENCE, "the end of every worker")
    assert not is_listening(served.port)


def test_every_gauge_says_what_it_shows_of_several_workers_and_forgets_the_dead() -> None:
    known = metrics.REGISTRY._names_to_collectors.values()
    modes = {getattr(collector, "_multiprocess_mode", "livemax") for collector in known}

    assert modes == {"livemax", "livesum"}
