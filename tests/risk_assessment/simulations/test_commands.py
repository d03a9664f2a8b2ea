"""`simulate`: a client of the API that starts a simulation, follows it, and shows the report."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.risk_assessment.apis import Api, serving
from tests.risk_assessment.builders import generate_debtors
from tests.risk_assessment.commands import Done, run, the_error
from tests.risk_assessment.policies.documents import a_document
from tests.risk_assessment.simulations.test_jobs import the_step


@pytest.fixture(scope="module")
def risk(tmp_path_factory: pytest.TempPathFactory, migrated_sqlite_file: Path, sqs_url: str) -> Iterator[Api]:
    folder = tmp_path_factory.mktemp("simulate")
    (folder / "risk.db").write_bytes(migrated_sqlite_file.read_bytes())
    with serving(folder, f"sqlite:///{folder / 'risk.db'}", sqs_url) as api:
        generate_debtors(api.database, 40)
        yield api


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run commands where no .env file lies."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def simulating(risk: Api) -> Iterator[None]:
    """Carry out simulations as a dispatcher does, until one has ended."""
    over, step = threading.Event(), the_step(risk.database)

    def work() -> None:
        while not step() and not over.wait(0.05):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    yield
    over.set()
    thread.join(20)


def simulate(risk: Api, *options: object) -> Done:
    with capture_logs(), simulating(risk):  # the output is that of the command
        return run("simulate", *options, RISK_API_URL=risk.url)


def test_a_report_is_shown_in_tables(risk: Api, folder: Path) -> None:
    (folder / "mine.json").write_text(json.dumps(a_document("mine", like="classic")))

    done = simulate(risk, "--policy", "mine.json", "--top-k", 7, "--unit", "account")

    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "standard version 1 today, mine version 1 proposed" in lines[0]
    for title in ("levels", "lanes", "actions", "left out", "exposure", "first 7", "who moves most"):
        assert any(line.startswith(title) for line in lines), title
    assert any(line.split()[:1] == ["PAID"] and line.endswith("+0") for line in lines)


def test_a_report_is_the_apis_own_as_json(risk: Api) -> None:
    done = simulate(risk, "--policy", "classic", "--json", "--threshold", "750000")

    found = json.loads(done.out)
    assert found == risk.get(f"/simulations/{found['id']}").json()
    assert (found["state"], found["proposed"]["name"], found["threshold"]) == ("completed", "classic", "750000.00")


def test_what_cannot_be_simulated_is_one_clear_line(risk: Api, folder: Path) -> None:
    (folder / "broken.json").write_text("{}")

    for policy in ("broken.json", "absent.json", "unheard-of"):
        assert the_error(run("simulate", "--policy", policy, RISK_API_URL=risk.url))
