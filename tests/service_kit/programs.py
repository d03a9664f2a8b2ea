"""The demo programs as processes: an API that listens, a loop that runs, and the events in their log."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.processes import eventually, is_listening

Process = subprocess.Popen[Any]
Starter = Callable[..., Process]


def serve(starter: Starter, port: int) -> Process:
    """Start the demo API, and wait until it listens."""
    process = starter("demo_api.py", str(port), "sqlite:///unused")
    eventually(lambda: is_listening(port), 20, "the API")
    return process


def loop(starter: Starter, *how: str) -> Process:
    """Start the demo loop, and wait until it runs."""
    process = starter("demo_loop.py", *how)
    assert process.stdout is not None
    assert process.stdout.readline() == b"running\n"
    return process


def events(log: Path) -> list[str]:
    return [json.loads(line)["event"] for line in log.read_text().splitlines()]
