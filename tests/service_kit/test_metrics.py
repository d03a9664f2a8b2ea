"""A loop shows its metrics over HTTP of its own."""

import httpx
import pytest
from tests.support.processes import free_port, is_listening

from service_kit.metrics import Counter, serve_metrics


def test_metrics_are_served_until_stopped() -> None:
    Counter("kit_test_things", "Things that this test counted").inc(3)
    port = free_port()

    stop = serve_metrics(port)

    assert "kit_test_things_total 3.0" in httpx.get(f"http://127.0.0.1:{port}/metrics").text
    stop()
    assert not is_listening(port)


def test_a_port_that_is_taken_is_told() -> None:
    port = free_port()
    stop = serve_metrics(port)
    with pytest.raises(OSError, match="in use"):
        serve_metrics(port)
    stop()
