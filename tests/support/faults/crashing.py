"""Faults inside a service, without a hook in it: named functions are wrapped in the process that is to fail.

A process started with a faults file looks into it at every named point. The file lists faults, each with the point, the
moment (`before` or `after` the call), the call it is meant for (`nth`, counted since the file was written) and what
happens: `kill` (SIGKILL), `freeze` (SIGSTOP), `raise`, or `sleep`. Standing alone:

    python -m tests.support.faults.crashing FAULTS_FILE risk_assessment dispatch
"""

import asyncio
import functools
import importlib
import inspect
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

POINTS = {
    # The risk API
    "run.accept": "risk_assessment.runs.service:accept",
    "api.write": "service_kit.database.engine:Database.write",
    # The dispatcher
    "lease.acquire": "service_kit.worker.leader_lease:LeaderLease.acquire",
    "plan": "risk_assessment.runs.planning:Plan.carry_out",
    "plan.begin": "risk_assessment.runs.planning:Plan._begin",
    "plan.record": "risk_assessment.runs.planning:Plan._record",
    "plan.between": "risk_assessment.runs.planning:_check_interrupted",
    "plan.finish": "risk_assessment.runs.planning:Plan._finish",
    "send": "risk_assessment.batches.sending:BatchQueues.send",
    "send.request": "service_kit.sqs.client:Sqs._send_pack",
    "mark": "risk_assessment.runs.results:mark_sent",
    "mark.commit": "risk_assessment.runs.jobs:Publisher._mark_sent",
    "results.receive": "risk_assessment.batches.sending:BatchQueues.receive_results",
    "results.apply": "risk_assessment.runs.results:apply",
    "results.commit": "risk_assessment.runs.jobs:ResultsReader._apply",
    "results.delete": "risk_assessment.batches.sending:BatchQueues.delete_results",
    # The consumer
    "receive": "debt_processing.consumer.deliveries:DeliveryQueues.receive",
    "decide": "debt_processing.consumer.deciding:decide",
    "decide.debtor": "recovery_core.decisions.decide:_facts",
    "record": "debt_processing.batches.service:record",
    "work": "debt_processing.consumer.processing:process_batch debt_processing.consumer.processing:process_group",
    "report": "debt_processing.consumer.deliveries:DeliveryQueues.report",
    "dead_letter": "debt_processing.consumer.deliveries:DeliveryQueues.dead_letter",
    "delete": "debt_processing.consumer.deliveries:DeliveryQueues.delete",
}
# Calls that return nothing are no event.
ONLY_WITH_RESULT = {"receive", "results.receive"}


@dataclass(frozen=True)
class Fault:
    """What goes wrong, where and when. With `debtor`, only calls that are about this debtor count."""

    point: str
    moment: str = "before"
    do: str = "kill"
    nth: int = 1
    debtor: int | None = None
    seconds: float = 0.0
    times: int = 1  # how many calls from the nth on
    text: str = "a fault that a test asked for"


@dataclass
class Faults:
    """The test's side of a faults file."""

    path: Path
    _round: int = field(default=0)

    def arm(self, *faults: Fault) -> None:
        """Let these faults happen from now on, and no others."""
        unknown = {fault.point for fault in faults} - set(POINTS)
        assert not unknown, f"no such points: {unknown}"
        self._round += 1
        content = {"round": self._round, "faults": [asdict(fault) for fault in faults]}
        temporary = self.path.with_suffix(".new")
        temporary.write_text(json.dumps(content))
        temporary.replace(self.path)

    def disarm(self) -> None:
        """Let nothing happen any more."""
        self.arm()

    def happened(self) -> int:
        """How many faults have happened since the last arming."""
        happened = _happened(self.path, self._round)
        return len(happened.read_text()) if happened.exists() else 0


class _Armed:
    """The process's side: reads the file when it has changed, and counts calls."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stamp = -1
        self._round = 0
        self._faults: list[Fault] = []
        self._calls: dict[int, int] = {}

    def due(self, point: str, moment: str, about: object) -> Fault | None:
        """The fault that is to happen at this very call, if any."""
        with self._lock:
            self._read()
            due = None
            for number, fault in enumerate(self._faults):
                if (fault.point, fault.moment) == (point, moment) and _is_about(about, fault.debtor):
                    self._calls[number] = self._calls.get(number, 0) + 1
                    if fault.nth <= self._calls[number] < fault.nth + fault.times:
                        due = due or fault
            if due is not None:
                self._record(due)
            return due

    def _record(self, due: Fault) -> None:
        with _happened(self._path, self._round).open("a") as file:
            file.write(".")
        if due.do == "kill" and due.debtor is None:
            # A process that dies of it once is to live when started again; a poisonous debtor stays one.
            self._path.unlink()

    def _read(self) -> None:
        try:
            stamp = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            return
        if stamp != self._stamp:
            content = json.loads(self._path.read_text())
            self._stamp, self._round = stamp, content["round"]
            self._faults = [Fault(**fault) for fault in content["faults"]]
            self._calls = {}


def _happened(path: Path, number: int) -> Path:
    return path.with_suffix(f".{number}.happened")


def _is_about(about: object, debtor: int | None) -> bool:
    return debtor is None or f"'debtor_id': {debtor}," in repr(about)


def install(path: Path) -> None:
    """Wrap every named function of the modules that this process uses."""
    armed = _Armed(path)
    for point, places in POINTS.items():
        for place in places.split():
            module_name, _, names = place.partition(":")
            *owners, name = names.split(".")
            owner = functools.reduce(getattr, owners, importlib.import_module(module_name))
            setattr(owner, name, _wrapped(getattr(owner, name), point, armed))


def _wrapped(function: Callable[..., Any], point: str, armed: _Armed) -> Callable[..., Any]:
    if point == "api.write":
        return _wrapped_manager(function, point, armed)
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(*args: Any, **options: Any) -> Any:
            await _happen_later(armed.due(point, "before", args))
            result = await function(*args, **options)
            if result or point not in ONLY_WITH_RESULT:
                await _happen_later(armed.due(point, "after", args))
            return result

        return waiting

    @functools.wraps(function)
    def calling(*args: Any, **options: Any) -> Any:
        _happen(armed.due(point, "before", args))
        result = function(*args, **options)
        _happen(armed.due(point, "after", args))
        return result

    return calling


def _wrapped_manager(function: Callable[..., AbstractContextManager[Any]], point: str, armed: _Armed) -> Any:
    @contextmanager
    def managing(*args: Any) -> Iterator[Any]:
        _happen(armed.due(point, "before", None))
        with function(*args) as value:
            yield value
        _happen(armed.due(point, "after", None))

    return managing


def _happen(fault: Fault | None) -> None:
    if fault is None:
        return
    if fault.do == "sleep":
        time.sleep(fault.seconds)
    elif fault.do == "raise":
        raise RuntimeError(fault.text)
    else:
        # To this very thread, which then goes no step further: a signal to the process may reach another thread first.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP if fault.do == "freeze" else signal.SIGKILL)


async def _happen_later(fault: Fault | None) -> None:
    if fault is not None and fault.do == "sleep":
        await asyncio.sleep(fault.seconds)
    else:
        _happen(fault)


if __name__ == "__main__":
    install(Path(sys.argv[1]))
    sys.argv = sys.argv[2:]
    importlib.import_module(f"{sys.argv[0]}.__main__").main()
