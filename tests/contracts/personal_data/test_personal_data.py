"""Names stay where they belong: in the risk service's own database and in the responses to callers who may read them.

Marked names go in by every entrance, right and wrong; then everything that came out elsewhere is searched for them.
"""

import httpx
import pytest
from tests.contracts.personal_data.entrances import NAME, be_refused, meet_a_broken_database, store_some, tamper
from tests.contracts.personal_data.system import System, messages
from tests.support.processes import eventually


def carry_out(system: System) -> str:
    run = system.risk.post("/runs", json={"batch_size": 4, "threshold": "1000000"}).json()["id"]

    def over() -> bool:
        return bool(system.risk.get(f"/runs/{run}").json()["state"] == "completed")

    eventually(over, 60, "the run")
    return str(run)


def read_it_all(system: System, run: str) -> list[str]:
    """Everything that the debt service returns."""
    paths = [f"/runs/{run}", f"/runs/{run}/decisions", f"/runs/{run}/errors", "/queues", "/dead-letters"]
    paths += [f"/debtors/{number}/decisions" for number in (1, 2, 77, 78, 79)]
    responses = [system.debt.get(path) for path in paths]
    responses += [system.debt.get(path, headers={"Accept": "text/csv"}) for path in paths[1:3]]
    assert all(response.is_success for response in responses)
    return [response.text for response in responses]


def test_a_name_appears_nowhere_but_in_its_own_database(
    system: System, sqs_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_SQS_URL", sqs_url)
    store_some(system)
    be_refused(system)
    meet_a_broken_database(system)
    assert NAME in system.risk.get("/debtors").text  # so there is something to find
    assert NAME in system.risk.get("/runs/preview").text
    run = carry_out(system)
    tamper(system, run)
    eventually(lambda: len(system.debt.get("/dead-letters").json()["items"]) >= 3, 60, "the dead letters")
    eventually(lambda: len(system.debt.get(f"/runs/{run}/errors").json()["items"]) >= 4, 60, "the errors")

    responses = read_it_all(system, run)
    metrics = [httpx.get(f"http://127.0.0.1:{port}/metrics").text for port in system.metrics_ports]
    logs = {path.name: path.read_text() for path in system.folder.glob("*.log")}
    stored = {path.name: path.read_bytes() for path in system.folder.glob("debt.db*")}

    assert len(messages(system)) >= 4
    assert len(logs) == 4
    assert all(logs.values())
    assert all("_total" in text for text in metrics)
    assert b"Zzyzx" not in system.sqs.everything()
    for marker in ("Zzyzx", "Qqfoe"):
        assert lines_with(marker, *logs.values()) == []
        assert lines_with(marker, *metrics) == []
        assert lines_with(marker, *system.problems) == []
        assert lines_with(marker, *responses) == []
        assert [name for name, content in stored.items() if marker.encode() in content] == []


def lines_with(marker: str, *texts: str) -> list[str]:
    return [line[:2_000] for text in texts for line in text.splitlines() if marker in line]
