"""A loop serves its metrics over HTTP."""

from pathlib import Path

import httpx
import pytest
from tests.support.processes import free_port, is_listening

from service_kit.database.engine import Database
from service_kit.observability.metrics import REGISTRY, Counter, serve_metrics, watch_process


def test_metrics_are_served_until_stopped() -> None:
    Counter("kit_test_things", "Things that this test counted").inc(3)
    port = free_port()

    stop = serve_metrics(port)

    assert "kit_test_things_total 3.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    stop()
    assert not is_listening(port)


def test_a_port_that_is_taken_is_an_error() -> None:
    port = free_port()
    stop = serve_metrics(port)
    with pytest.raises(OSError, match="in use"):
        serve_metrics(port)
    stop()


def test_a_process_shows_that_it_runs_and_what_connections_it_has(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'kit.db'}")
    watch_process("kit-test", database)

    with database.read():
        assert REGISTRY.get_sample_value("recovery_pool_connections", {"state": "in_use"}) == 1
    assert REGISTRY.get_sample_value("recovery_pool_connections", {"state": "in_use"}) == 0
    assert REGISTRY.get_sample_value("recovery_pool_connections", {"state": "idle"}) == 1
    assert REGISTRY.get_sample_value("recovery_up", {"process": "kit-test"}) == 1
    database.dispose()
