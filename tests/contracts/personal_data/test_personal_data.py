"""Names stay where they belong: in the risk service's own database and in the responses to callers who may read them.

Marked names go in by every entrance, right and wrong; then everything that came out elsewhere is searched for them.
"""

import asyncio
import json
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pymysql
import pytest
from sqlalchemy.engine import make_url
from tests.support.processes import Done, environment, eventually, free_port, run_service, serving
from tests.support.recorder import Recording, recording

from service_kit.database.migrations import upgrade
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing

NAME = "Zzyzx Marker"
"""What the people in this test are called. No part of it occurs anywhere else."""
POISON = "Qqfoe Poison"
"""A name in a message that was tampered with: it was in the queue before we saw it, so it may go back there only."""
JSON = {"Content-Type": "application/json"}


def debtor(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"{NAME}-{number}",
        "external_ref": f"{NAME}-ref-{number}",
        "total_debt_amount": "33267.16",
        "monthly_income": "2100.00",
        "late_payments_count": 4,
        "employment_status": "SELF_EMPLOYED",
        "contract_type": "FREELANCE",
        "industry_sector": "HOSPITALITY",
    } | changes


BAD = {
    "too long": debtor(1, name=f"{NAME} " * 40),
    "not a text": debtor(1, name=[NAME]),
    "not one line": debtor(1, name=f"{NAME}\n{NAME}"),
    "in the wrong fields": debtor(1, total_debt_amount=NAME, monthly_income=NAME, late_payments_count=NAME),
    "as a category": debtor(1, employment_status=NAME, contract_type=NAME, payment_status=NAME),
    "as a portfolio": debtor(1, portfolio=NAME),
    "beside the fields": debtor(1, nickname=NAME),
    "as a field": debtor(1) | {NAME: NAME},
    "as a list": [debtor(1)],
    "as a text": NAME,
    "missing much": {"name": NAME},
}
BAD_BYTES = {
    "broken off": f'{{"name": "{NAME}'.encode(),
    "not JSON": f"name={NAME}".encode(),
    "with NUL": f'{{"name": "{NAME}\\u0000"}}'.encode(),
    "not UTF-8": f'{{"name": "{NAME}\xff"}}'.encode("latin-1"),
    "too large": json.dumps(debtor(1, name=NAME * 200_000)).encode(),
    "nested": b"[" * 5_000 + NAME.encode(),
}


@dataclass
class System:
    """The four processes, their input and their output."""

    risk: httpx.Client
    debt: httpx.Client
    settings: dict[str, str]
    folder: Path
    sqs: Recording
    metrics_ports: tuple[int, ...]
    problems: list[str] = field(default_factory=list)

    def refused(self, response: httpx.Response) -> None:
        """Keep the response of a request that could not succeed."""
        assert response.is_error, response.text
        assert response.headers["content-type"] == "application/problem+json"
        self.problems.append(f"{response.request.method} {response.status_code} {response.headers} {response.text}")

    def command(self, package: str, *arguments: str) -> Done:
        return run_service(package, *arguments, cwd=self.folder, env=environment(**self.settings))


@pytest.fixture(params=["sqlite", "mariadb"])
def risk_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mariadb":
        return str(request.getfixturevalue("mariadb_url"))
    return f"sqlite:///{tmp_path / 'risk.db'}"


@pytest.fixture
def system(risk_url: str, tmp_path: Path, sqs_url: str, queue_names: Callable[[str], str]) -> Iterator[System]:
    debt_url = f"sqlite:///{tmp_path / 'debt.db'}"
    upgrade(risk_url, "risk_assessment")
    upgrade(debt_url, "debt_processing")
    risk, debt, dispatch, consume = ports = tuple(free_port() for _ in range(4))
    with ExitStack() as stack:
        sqs = stack.enter_context(recording(httpx.URL(sqs_url).port or 0))
        settings = {
            "RISK_DATABASE_URL": risk_url,
            "DEBT_DATABASE_URL": debt_url,
            "AWS_ENDPOINT_URL_SQS": f"http://127.0.0.1:{sqs.port}",
            "RECOVERY_CREATE_QUEUES": "true",
            "RECOVERY_LOG_LEVEL": "debug",
            "DEBT_WAIT_SECONDS": "1",
            "DEBT_RETRY_SECONDS": "0",
            "RISK_METRICS_PORT": str(dispatch),
            "DEBT_METRICS_PORT": str(consume),
            **{f"RECOVERY_QUEUE_{role.upper()}": queue_names(role) for role in ("high", "standard", "results")},
        }
        for package, command, port in (
            ("risk_assessment", ("serve", "--port", str(risk)), risk),
            ("debt_processing", ("serve", "--port", str(debt)), debt),
            ("risk_assessment", ("dispatch",), dispatch),
            ("debt_processing", ("consume",), consume),
        ):
            log = tmp_path / f"{package}-{command[0]}.log"
            env = environment(**settings)
            stack.enter_context(serving(package, *command, port=port, log=log, cwd=tmp_path, env=env))
        yield System(
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{risk}/risk-service", timeout=60)),
            stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{debt}/debt-service", timeout=60)),
            settings,
            tmp_path,
            sqs,
            ports,
        )


def store_some(system: System) -> None:
    """By every right entrance."""
    for number in range(5):
        response = system.risk.post("/debtors", json=debtor(number), headers={"Idempotency-Key": f"k-{number}"})
        assert response.status_code == 201, response.text
        assert NAME in response.text
    rows = [list(debtor(0)), *(list(map(str, debtor(number).values())) for number in range(10, 20))]
    rows.append([*list(map(str, debtor(20).values()))[:4], NAME, NAME, NAME, NAME])
    (system.folder / "book.csv").write_text("\n".join(",".join(row) for row in rows))
    done = system.command("risk_assessment", "import-debtors", "book.csv", "--json")
    assert json.loads(done.out)["created"] == 10, done.err
    assert json.loads(done.out)["rejected"] == 1
    system.problems += [done.out, done.err, (system.folder / "book.rejects.csv").read_text()]


def be_refused(system: System) -> None:
    """By every wrong entrance: impossible input, input contradicting what is stored, paths and queries with names."""
    risk = system.risk
    for body in BAD.values():
        system.refused(risk.post("/debtors", json=body))
        system.refused(risk.put("/debtors/1", json=body))
        if not isinstance(body, dict) or len(body) > 1:
            system.refused(risk.patch("/debtors/1", json=body))
    for content in BAD_BYTES.values():
        system.refused(risk.post("/debtors", content=content, headers=JSON))
    system.refused(risk.post("/debtors", content=NAME.encode(), headers={"Content-Type": "text/plain"}))
    system.refused(risk.post("/debtors", json=debtor(0)))  # the reference is taken
    system.refused(risk.put("/debtors/2", json=debtor(0)))
    system.refused(risk.patch("/debtors/2", json={"external_ref": debtor(0)["external_ref"], "name": NAME}))
    system.refused(risk.post("/debtors", json=debtor(7), headers={"Idempotency-Key": "k-1"}))
    system.refused(risk.put("/debtors/2", json=debtor(1), headers={"If-Match": '"99"'}))
    system.refused(risk.put("/debtors/2", json=debtor(1), headers={"If-Match": f'"{NAME}"'}))
    for parameter in ("portfolio", "risk_level", "payment_status", "min_debt", "sort", "limit", "cursor"):
        system.refused(risk.get("/debtors", params={parameter: NAME}))
    for path in (f"/debtors/{NAME}", f"/debtors/{NAME}/score", f"/runs/{NAME}", f"/scoring-jobs/{NAME}", f"/{NAME}"):
        system.refused(risk.get(path))
        system.refused(risk.put(path, json=debtor(1)))
    for path in (f"/runs/{NAME}", f"/debtors/{NAME}/decisions", f"/runs/{NAME}/errors", f"/{NAME}"):
        system.refused(system.debt.get(path))
    system.refused(system.debt.post("/dead-letters/redrive", json={"lane": NAME, NAME: NAME}))
    system.refused(risk.post("/runs", json={"portfolio": NAME, "filters": {"risk_level": [NAME]}, "policy": NAME}))
    response = risk.post("/scores", json={"profiles": [debtor(1), {"monthly_income": NAME}, NAME, {NAME: 1}]})
    assert response.status_code == 200
    system.problems.append(response.text)


def meet_a_broken_database(system: System) -> None:
    """A table that is gone while names are written: a bug, so it is logged with its traceback."""
    for change in ("RENAME TO assessments_elsewhere", "RENAME TO assessments"):
        table = "assessments" if change.endswith("elsewhere") else "assessments_elsewhere"
        alter(system.settings["RISK_DATABASE_URL"], f"ALTER TABLE {table} {change}")
        if change.endswith("elsewhere"):
            system.refused(system.risk.post("/debtors", json=debtor(8)))
            system.refused(system.risk.put("/debtors/2", json=debtor(9)))
            done = system.command("risk_assessment", "import-debtors", "book.csv", "--portfolio", "other")
            assert done.code != 0
            system.problems += [done.out, done.err]


def alter(url: str, statement: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database), timeout=30)) as connection:
            connection.execute(statement)
    else:
        with pymysql.connect(host=parsed.host, port=parsed.port, user="root", database=parsed.database) as connection:
            connection.cursor().execute(statement)


def tamper(system: System, run_id: str) -> None:
    """Put messages with names in them into the queue."""
    entry = {name: value for name, value in debtor(1).items() if name not in ("name", "external_ref")}
    entry |= {"debtor_id": 77, "priority": "1.00", "total_score": 1, "name": POISON}
    said = next(body for body in messages(system) if body.get("run_id") == run_id)
    bad = [
        entry | {"debtor_id": 78, "employment_status": POISON},
        entry | {"debtor_id": 79, "monthly_income": POISON},
        entry | {"debtor_id": POISON},
        entry | {"debtor_id": 80, POISON: POISON},
        POISON,
    ]
    tampered = said | {"batch_id": f"{run_id}-9999999", "sequence": 9_999_999, "debtors": bad, "owner": POISON}
    bodies = [
        json.dumps(tampered),
        json.dumps(said | {"policy": POISON}),
        json.dumps({"schema": POISON, "name": POISON}),
        POISON,
    ]

    async def send() -> None:
        async with Sqs("eu-west-1", os.environ["TEST_SQS_URL"]) as sqs:
            queue = system.settings["RECOVERY_QUEUE_STANDARD"]
            assert await sqs.send(queue, [Outgoing(str(n), body) for n, body in enumerate(bodies)]) == []

    asyncio.run(send())


def messages(system: System) -> list[dict[str, Any]]:
    """The bodies of all messages that were sent to the queues."""
    found = []
    decoder = json.JSONDecoder()
    for said in system.sqs.said:
        for part in bytes(said).decode(errors="replace").split("\r\n\r\n")[1:]:
            try:
                request, _ = decoder.raw_decode(part)
            except ValueError:
                continue
            for entry in request.get("Entries", ()):
                if entry.get("MessageBody", "").startswith("{"):
                    found.append(json.loads(entry["MessageBody"]))
    return found


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
