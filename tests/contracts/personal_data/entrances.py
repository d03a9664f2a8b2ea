"""Every way by which a name can come in: right and wrong requests, files, a broken database, messages tampered with."""

import asyncio
import json
import os
import sqlite3
from contextlib import closing
from typing import Any

import pymysql
from sqlalchemy.engine import make_url
from tests.contracts.personal_data.system import System, messages
from tests.risk_assessment.policies.documents import a_document

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
        "person_ref": f"{NAME}-person",
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
    place_some(system)


def place_some(system: System) -> None:
    """Holds whose reasons, sources and persons are names."""
    for target in ({"debtor_id": 1}, {"portfolio": "default", "person_ref": f"{NAME}-person"}):
        placed = system.risk.post("/holds", json=a_hold(**target))
        assert placed.status_code == 201, placed.text
        assert NAME in placed.text
    ended = system.risk.post(f"/holds/{placed.json()['id']}/end", json={"reason": NAME})
    assert ended.status_code == 200, ended.text
    rows = ["portfolio,person_ref,kind,from,reason,source", f"default,{NAME},DISPUTE,2026-03-01,{NAME},{NAME}"]
    rows += [f"default,{NAME},{NAME},{NAME},{NAME},{NAME}", f"{NAME},{NAME},DISPUTE,2026-03-01,{NAME},{NAME}"]
    (system.folder / "holds.csv").write_text("\n".join(rows))
    done = system.command("risk_assessment", "import-holds", "holds.csv", "--json")
    report = json.loads(done.out)
    assert (report["created"], report["rejected"]) == (1, 2), done.err
    system.problems += [done.out, done.err, (system.folder / "holds.rejects.csv").read_text()]


def a_hold(**changes: Any) -> dict[str, Any]:
    body = {"kind": "TIME_BARRED", "reason": f"{NAME} wrote", "source": NAME}
    return body | changes


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
    for wrong in ("debtor_id", "portfolio", "kind", "from", "until", "blocks", "nickname"):
        system.refused(risk.post("/holds", json=a_hold(debtor_id=1) | {wrong: NAME}))
    system.refused(risk.post("/holds", json=a_hold(debtor_id=1, reason=f"{NAME}\n{NAME}", blocks=[NAME])))
    system.refused(risk.post("/holds", json=a_hold(portfolio="default", external_ref=f"{NAME}-unknown")))
    system.refused(risk.post(f"/holds/{NAME}/end", json={"reason": NAME, "at": NAME}))
    for parameter in ("portfolio", "person_ref", "kind", "active_at", "cursor"):
        system.refused(risk.get("/holds", params={parameter: NAME}))
    for parameter in ("portfolio", "risk_level", "payment_status", "min_debt", "sort", "limit", "cursor"):
        system.refused(risk.get("/debtors", params={parameter: NAME}))
    for path in (f"/debtors/{NAME}", f"/debtors/{NAME}/score", f"/runs/{NAME}", f"/scoring-jobs/{NAME}", f"/{NAME}"):
        system.refused(risk.get(path))
        system.refused(risk.get(f"/holds{path}"))
        system.refused(risk.put(path, json=debtor(1)))
    for path in (f"/runs/{NAME}", f"/debtors/{NAME}/decisions", f"/runs/{NAME}/errors", f"/{NAME}"):
        system.refused(system.debt.get(path))
    system.refused(system.debt.post("/dead-letters/redrive", json={"lane": NAME, NAME: NAME}))
    system.refused(risk.post("/runs", json={"portfolio": NAME, "filters": {"risk_level": [NAME]}, "policy": NAME}))
    for changes in ({NAME: 1}, {"name": NAME}, {"factors": {NAME: {}}}, {"levels": [{"level": NAME, NAME: NAME}]}):
        system.refused(risk.post("/policies", json=a_document("ours") | changes))
    categories = {"weight": 1, "neutral": 1, "points": {NAME: 1, "EMPLOYED": NAME}}
    rows = [{"action": NAME, "level": [NAME], "min_debt": NAME}]
    system.refused(risk.post("/policies", json=a_document("ours", factors={"employment_status": categories})))
    system.refused(risk.post("/policies", json=a_document("ours", treatment=rows, objective=NAME)))
    for wrong in (
        {"currency": NAME},
        {"time_zone": NAME},
        {"jurisdiction": NAME},
        {"attributes": {NAME: {NAME: NAME}}},
    ):
        system.refused(risk.put("/portfolios/default", json=wrong))
    wrong_activation = {"portfolio": "default", "reason": f"{NAME}\n{NAME}", "accept_findings": [NAME]}
    for path in (f"/policies/{NAME}", f"/policies/{NAME}/findings", f"/portfolios/{NAME}/activations"):
        system.refused(risk.get(path))
    system.refused(risk.post(f"/policies/{NAME}/activate", json=wrong_activation))
    system.refused(risk.post(f"/policies/{NAME}/activate", json={"portfolio": "default", "reason": NAME}))
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
    entry = {name: value for name, value in debtor(1).items() if name not in ("name", "external_ref", "person_ref")}
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
