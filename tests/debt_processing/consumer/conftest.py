"""Fixtures of the consumer's tests."""

import pytest

from service_kit.worker import dependencies


@pytest.fixture
def quick_recovery(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dependencies, "FIRST_PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(dependencies, "LONGEST_PAUSE_SECONDS", 0.1)
