"""Keeps a process on one core at a time, of those it may use: the core that the kernel chooses.

Only one thread of a Python process computes at a time. On several cores, each hand-over to the next thread wakes
another core, which takes a server of short requests as long again as its work.
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

STAY_SECONDS = 2.0
CHOOSE_SECONDS = 0.02
_THREADS = Path("/proc/self/task")
_LAST_RUN_ON = 36  # of the fields behind the name in stat, counted from 0: see proc(5)


async def stay_on_one_core() -> None:
    """Keep all threads on the core of this one, until cancelled; at intervals the kernel may move it, and all follow.

    Returns at once where there is no choice: with a single core, and on systems other than Linux.
    """
    if not hasattr(os, "sched_setaffinity") or len(allowed := os.sched_getaffinity(0)) == 1:
        return
    here = threading.get_native_id()
    try:
        while True:
            _bind([here], allowed)
            await asyncio.sleep(CHOOSE_SECONDS)
            _bind(_threads(), {_core_of(here)})
            await asyncio.sleep(STAY_SECONDS)
    except OSError as error:  # forbidden, or the allowed cores have changed
        log.info("process.cores.not_chosen", error=type(error).__name__)
    finally:
        with contextlib.suppress(OSError):
            _bind(_threads(), allowed)


def _bind(threads: Iterable[int], cores: set[int]) -> None:
    for thread in threads:
        with contextlib.suppress(ProcessLookupError):  # it has just ended
            os.sched_setaffinity(thread, cores)


def _threads() -> list[int]:
    return [int(thread.name) for thread in _THREADS.iterdir()]


def _core_of(thread: int) -> int:
    return int((_THREADS / str(thread) / "stat").read_text().rpartition(")")[2].split()[_LAST_RUN_ON])
