"""How things are measured: warm-ups, repeats, median and spread, memory and processor time of processes.

A figure keeps every value that was measured, so that no reader has to believe the median.
"""

import gc
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, TypeVar

T = TypeVar("T")
MIB = 1024**2


@dataclass(frozen=True, slots=True)
class Figure:
    """One thing measured: in which case, in which unit, each repeat's value, and what else is worth knowing."""

    benchmark: str
    case: str
    unit: str
    values: tuple[float, ...]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The lowest and the highest value."""
        return min(self.values), max(self.values)

    def as_dict(self) -> dict[str, Any]:
        """The figure for JSON."""
        return {**asdict(self), "median": self.median}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used since it was started: processor seconds, and bytes of memory at its peak."""

    seconds: float
    peak: int

    def __sub__(self, earlier: "Usage") -> "Usage":
        return Usage(self.seconds - earlier.seconds, self.peak)


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes, with the garbage of whatever came before collected."""
    gc.collect()
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def rates(count: int, work: Callable[[], object], repeats: int, warm_ups: int = 1) -> tuple[float, ...]:
    """How many of `count` things a second the work does, once a repeat."""
    for _ in range(warm_ups):
        work()
    return tuple(count / seconds(work) for _ in range(repeats))


def usage(process_id: int) -> Usage:
    """What a process has used so far. Reads /proc; a system without it gives nothing."""
    try:
        times = Path(f"/proc/{process_id}/stat").read_text().rsplit(") ", 1)[1].split()
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return Usage(0.0, 0)
    ticks = int(times[11]) + int(times[12])
    peak = next((line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")), "0")
    return Usage(ticks / os.sysconf("SC_CLK_TCK"), int(peak) * 1024)


def in_new_process(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    """Do the work in a process of its own; return what it returned and how many bytes the work took at its peak."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_measured, (work, *arguments))


def _measured(work: Callable[..., T], *arguments: Any) -> tuple[T, int]:
    before = usage(os.getpid()).peak
    result = work(*arguments)
    return result, usage(os.getpid()).peak - before
