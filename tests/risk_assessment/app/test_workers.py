"""`serve --workers 2`: two processes serve the risk API on one port, and end as one."""

import os
import re
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
from tests.risk_assessment.apis import queue_environment
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.commands import run_child, the_error
from tests.support.processes import environment, eventually, free_port, serving

CREATED = 'http_request_seconds_count{method="POST",route="/risk-service/debtors",status="201"}'


def test_two_workers_create_debtors_at_once_and_count_them_together(
    tmp_path: Path, migrated_sqlite_url: str, sqs_url: str
) -> None:
    port, log = free_port(), tmp_path / "log"
    env = environment(**queue_environment(migrated_sqlite_url, sqs_url, str(port)), TMPDIR=str(tmp_path))
    command = ("risk_assessment", "serve", "--port", str(port), "--workers", "2")
    with serving(*command, port=port, log=log, cwd=tmp_path, env=env) as process:
        root = f"http://127.0.0.1:{port}"
        eventually(lambda: log.read_text().count("Application startup complete") == 2, 60, "both workers")
        eventually(lambda: httpx.get(f"{root}/readyz", timeout=20).status_code == 200, 60, "readiness")

        def create(number: int) -> int:
            body = a_debtor(external_ref=f"ACC-{number}")
            return client.post("/risk-service/debtors", json=body).status_code

        with httpx.Client(base_url=root, timeout=60) as client, ThreadPoolExecutor(8) as pool:
            assert set(pool.map(create, range(60))) == {201}
        eventually(lambda: f"{CREATED} 60.0" in httpx.get(f"{root}/metrics", timeout=20).text, 60, "all counted")
        for wanted in (r'^recovery_up{process="serve"} 1\.0$', r'^recovery_pool_connections{state="idle"} [1-9]'):
            eventually(partial(_shows, f"{root}/metrics", wanted), 60, wanted)

        process.terminate()
        assert process.wait(20) == 0
    assert not list(tmp_path.glob("smartrecover-metrics-*"))


def _shows(address: str, wanted: str) -> bool:
    return re.search(wanted, httpx.get(address, timeout=20).text, re.MULTILINE) is not None


def test_a_port_that_is_taken_is_reported_before_any_worker_starts(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        done = run_child(
            tmp_path, "serve", "--workers", "2", "--port", str(port), AWS_ENDPOINT_URL_SQS="http://127.0.0.1:9324"
        )

    assert the_error(done) == f"127.0.0.1:{port}: {os.strerror(98)}"
