"""An API process ends as it should: it finishes its requests, and it fails when its port is taken."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.service_kit.programs import Starter, serve
from tests.support.processes import eventually, free_port, repository


def test_an_api_asked_to_stop_finishes_its_requests_and_exits_with_0(starter: Starter) -> None:
    port = free_port()
    process = serve(starter, port)
    address = f"http://127.0.0.1:{port}/demo"
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(httpx.get, f"{address}/slow?seconds=1", timeout=10)
        eventually(lambda: httpx.get(f"{address}/slow-so-far").json() == 1)

        process.terminate()

        assert slow.result().text == '"done"'
        assert process.wait(10) == 0


def test_a_stream_can_end_when_the_process_stops(starter: Starter) -> None:
    port = free_port()
    process = serve(starter, port)
    with httpx.stream("GET", f"http://127.0.0.1:{port}/demo/stream", timeout=10) as response:
        lines = response.iter_lines()
        assert next(lines) == "tick"

        process.terminate()

        assert list(lines)[-1] == "bye"
    assert process.wait(10) == 0


@pytest.mark.parametrize("host", ["::", "::1"])
def test_an_api_on_ipv6_is_found_by_clients_and_by_the_health_check(starter: Starter, host: str) -> None:
    port = free_port()
    process = starter("demo_api.py", str(port), "sqlite:///unused", host)
    check = [sys.executable, "-I", "-S", repository() / "infra/docker/healthcheck.py", str(port), "/metrics"]

    eventually(lambda: subprocess.run(check, check=False, capture_output=True).returncode == 0, 20, "the API")

    assert httpx.get(f"http://[::1]:{port}/metrics").status_code == 200
    process.terminate()
    assert process.wait(10) == 0


def test_an_api_whose_port_is_taken_says_so_and_exits_with_1(starter: Starter, tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()

        process = starter("demo_api.py", str(holder.getsockname()[1]), "sqlite:///unused")

        assert process.wait(20) == 1
    assert "address already in use" in (tmp_path / "log").read_text()
