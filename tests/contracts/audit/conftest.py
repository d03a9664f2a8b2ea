"""Both APIs guarded by keys, and what they would log."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contracts.access.guarded import Guarded, guarded, queue_settings

from service_kit import audit


class Log:
    """Takes in what would be logged."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def info(self, event: str, **values: Any) -> None:
        self.events.append({"event": event} | values)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    log = Log()
    monkeypatch.setattr(audit, "log", log)
    return log


@pytest.fixture
def given(queue_names: Callable[[str], str], sqs_url: str) -> dict[str, Any]:
    return queue_settings(queue_names, sqs_url)


@pytest.fixture
def risk(tmp_path: Path, given: dict[str, Any]) -> Iterator[Guarded]:
    with guarded("risk", tmp_path, **given) as api:
        yield api


@pytest.fixture
def debt(tmp_path: Path, given: dict[str, Any]) -> Iterator[Guarded]:
    with guarded("debt", tmp_path, **given) as api:
        yield api
