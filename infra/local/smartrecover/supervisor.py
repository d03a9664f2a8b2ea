"""Keeps child processes alive until asked to stop: prefixed logs, restart after a death, an orderly end."""

import asyncio
import contextlib
import ctypes
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import timedelta
from time import monotonic
from typing import Any

from service_kit.backoff import Backoff
from service_kit.lifecycle import Stop
from smartrecover.stack import Command

STOP_SECONDS = 25.0  # longer than a loop's own drain of 20 s
STEADY = timedelta(seconds=10).total_seconds()  # a child that lived this long is restarted without delay

Say = Callable[[str], None]
_PR_SET_PDEATHSIG = 1


class StartFailedError(Exception):
    """A process of the system did not start; the text says which."""


class Supervisor:
    """Starts commands as children of this process and starts them again when they die."""

    def __init__(self, environment: Mapping[str, str], say: Say) -> None:
        self._environment, self._say = dict(environment), say
        self._children: dict[str, asyncio.subprocess.Process] = {}
        self._keepers: dict[str, asyncio.Task[None]] = {}
        self._stopping = Stop()

    async def run_once(self, command: Command) -> None:
        """Run a command to its end. Raises StartFailedError when it fails."""
        child = await self._spawn(command)
        await self._forward(command.name, child)
        if await child.wait() != 0:
            raise StartFailedError(f"{command.name} failed (exit code {child.returncode})")

    def keep(self, command: Command) -> None:
        """Start a command and keep it running."""
        self._keepers[command.name] = asyncio.create_task(self._keep(command))

    async def stop(self) -> None:
        """End all children in an orderly way, the first one last; those that do not listen are killed."""
        self._stopping.set()
        # The local SQS is started first, and the loops still talk to it while they finish.
        first = next(iter(self._keepers), "")
        await self._end({name: child for name, child in self._children.items() if name != first})
        await self._end({name: child for name, child in self._children.items() if name == first})

    async def _end(self, children: Mapping[str, asyncio.subprocess.Process]) -> None:
        for child in children.values():
            _signal(child, signal.SIGTERM)
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(child.wait()) for child in children.values()]
        ends += [keeper for name, keeper in self._keepers.items() if name in children]
        _, late = await asyncio.wait(ends, timeout=STOP_SECONDS) if ends else ((), ())
        for name, child in children.items():
            if child.returncode is None:
                self._say(f"[{name}] did not stop within {STOP_SECONDS:g} s: killed")
                _signal(child, signal.SIGKILL)
        if late:
            await asyncio.wait(late)

    async def _keep(self, command: Command) -> None:
        backoff = Backoff(base=0.2, cap=5.0)
        while not self._stopping.is_set():
            started_at = monotonic()
            child = await self._spawn(command)
            await self._forward(command.name, child)
            code = await child.wait()
            if self._stopping.is_set():
                return
            if monotonic() - started_at > STEADY:
                backoff.reset()
            pause = backoff.next()
            self._say(f"[{command.name}] died ({_ending(code)}); starting it again")
            await self._stopping.wait(pause)

    async def _spawn(self, command: Command) -> asyncio.subprocess.Process:
        child = await asyncio.create_subprocess_exec(
            *command.arguments,
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            # Ctrl-C in the terminal reaches this process only, which then stops the children in order.
            start_new_session=True,
            preexec_fn=_die_with_parent,
            limit=1024 * 1024,
        )
        self._children[command.name] = child
        return child

    async def _forward(self, name: str, child: asyncio.subprocess.Process) -> None:
        assert child.stdout is not None  # noqa: S101 - asked for above
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                continue  # a line longer than the limit; the next read goes on behind it
            if not line:
                return
            self._say(f"[{name}] {line.decode('utf-8', 'replace').rstrip()}")


def print_line(line: str) -> None:
    """Say it on standard output."""
    print(line, flush=True)


def _signal(child: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        child.send_signal(number)


def _ending(code: int) -> str:
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name


def _die_with_parent() -> None:
    """Have the kernel end the child when this process is killed, so that nothing is left behind."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
