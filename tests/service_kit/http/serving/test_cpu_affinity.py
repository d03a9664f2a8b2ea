"""A server's threads share one core at a time, and at intervals the kernel may choose another one."""

import os
import subprocess
import textwrap
from pathlib import Path

import httpx
import pytest
from tests.support.processes import environment, eventually, free_port, python, repository, running

ALLOWED = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else {0}

pytestmark = pytest.mark.skipif(len(ALLOWED) < 2, reason="THIS MACHINE HAS ONE CORE, SO THERE IS NOTHING TO CHOOSE")


def cores_of(process_id: int) -> list[set[int]]:
    """Return the cores that each thread of a process may run on."""
    return [os.sched_getaffinity(int(thread.name)) for thread in Path(f"/proc/{process_id}/task").iterdir()]


def test_all_threads_of_an_api_run_on_one_core_of_those_that_they_may_use(tmp_path: Path) -> None:
    port = free_port()
    command = python(repository() / "tests" / "support" / "demo_api.py", str(port), f"sqlite:///{tmp_path / 'x.db'}")

    with running(command, port, tmp_path / "log", env=environment()) as process:
        assert httpx.get(f"http://127.0.0.1:{port}/demo/slow?seconds=0", timeout=20).is_success  # starts a thread

        def shared() -> set[int] | None:
            cores = cores_of(process.pid)
            return cores[0] if len(cores) > 1 and all(each == cores[0] and len(each) == 1 for each in cores) else None

        assert eventually(shared, 20, "one core for all threads") < ALLOWED


PROGRAM = """
    import asyncio, os, sys, threading
    from service_kit.http.serving import cpu_affinity

    cpu_affinity.STAY_SECONDS = cpu_affinity.CHOOSE_SECONDS = 0.05

    async def main():
        keeping = asyncio.create_task(cpu_affinity.stay_on_one_core())
        threading.Thread(target=threading.Event().wait, daemon=True).start()
        seen = []
        for _ in range(200):
            await asyncio.sleep(0.01)
            now = len(os.sched_getaffinity(0))
            seen += [now] if seen[-1:] != [now] else []
        print(*seen[-6:], keeping.done())

    asyncio.run(main())
"""


def cores_seen(before: str = "") -> str:
    """Return how many cores the main thread could use, in the order of its changes, and whether the task has ended."""
    done = subprocess.run(
        python("-c", before + textwrap.dedent(PROGRAM)), capture_output=True, text=True, check=True, env=environment()
    )
    return done.stdout.splitlines()[-1]  # after the log


def test_at_intervals_the_kernel_may_choose_another_core() -> None:
    assert cores_seen().split()[:-1] in ([str(len(ALLOWED)), "1"] * 3, ["1", str(len(ALLOWED))] * 3)


def test_with_one_core_nothing_is_done() -> None:
    assert cores_seen(f"import os; os.sched_setaffinity(0, {{{min(ALLOWED)}}})\n") == "1 True"


def test_a_process_that_may_not_choose_stays_where_it_is() -> None:
    refused = "import os\ndef refuse(*_): raise PermissionError\nos.sched_setaffinity = refuse\n"

    assert cores_seen(refused) == f"{len(ALLOWED)} True"
