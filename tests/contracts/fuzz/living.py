"""Both APIs as processes, over databases and queues with something of every kind, so that a fuzzer finds things.

What is stored is the same each time, and its ids are known before anything is asked.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
from tests.debt_processing import builders as batches
from tests.debt_processing.stops.feed import a_stop
from tests.risk_assessment import builders as facts
from tests.risk_assessment.policies.documents import a_policy
from tests.support.processes import environment, free_port, serving

from debt_processing.batches import service as inbox
from debt_processing.settings import Settings as DebtSettings
from debt_processing.tables import api_keys as debt_keys
from debt_processing.tables import audit_records as debt_audit
from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import batch_id_of, resolve_policy
from recovery_core.messages.results import BatchResult, Outcome
from risk_assessment.batches.queries import next_batches
from risk_assessment.debtors import service as debtors
from risk_assessment.holds import service as holds
from risk_assessment.holds.schemas import HoldIn
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.policies.service import upload
from risk_assessment.runs import planning, queries, results, service
from risk_assessment.scoring import service as scoring
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.tables import api_keys as risk_keys
from risk_assessment.tables import audit_records as risk_audit
from service_kit.audit import Audit, Caller
from service_kit.auth import keys
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.sqs.client import Sqs
from service_kit.sqs.messages import Outgoing
from service_kit.sqs.queues import queue_specs

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN_ID = "run-1"
"""A run that the debt service knows, with decisions and errors."""


@dataclass(frozen=True)
class Living:
    """A running API: its address, what it knows by id, and its log."""

    url: str
    root: str
    log: Path
    token: str | None = None
    """An API key of the role asked for; None where everyone may call."""
    ids: dict[str, list[Any]] = field(default_factory=dict)

    @property
    def port(self) -> int:
        return httpx.URL(self.url).port or 0


@contextmanager
def risk_api(folder: Path, sqs_url: str, role: str | None = None) -> Iterator[Living]:
    """The risk API with debtors, runs in several states and a scoring job; with a role, only for holders of keys."""
    url = f"sqlite:///{folder / 'risk.db'}"
    upgrade(url, "risk_assessment")
    database = Database(url)
    try:
        ids = _fill_risk(database)
        token, env = _key(database, risk_keys, risk_audit, role)
        with _serving("risk_assessment", folder, sqs_url, RISK_DATABASE_URL=url, **env) as (address, log):
            yield Living(address, "/risk-service", log, token, ids)
    finally:
        database.dispose()


@contextmanager
def debt_api(folder: Path, sqs_url: str, role: str | None = None) -> Iterator[Living]:
    """The debt API with runs, their decisions and errors, and dead letters; with a role, only for holders of keys."""
    url = f"sqlite:///{folder / 'debt.db'}"
    upgrade(url, "debt_processing")
    database = Database(url)
    try:
        ids = _fill_debt(database)
        token, env = _key(database, debt_keys, debt_audit, role)
        with _serving("debt_processing", folder, sqs_url, DEBT_DATABASE_URL=url, **env) as (address, log):
            ids["message_id"] = asyncio.run(_send_dead_letters(sqs_url, _queues(httpx.URL(address).port or 0)))
            yield Living(address, "/debt-service", log, token, ids)
    finally:
        database.dispose()


def _key(database: Database, table: Any, records: Any, role: str | None) -> tuple[str | None, dict[str, str]]:
    if role is None:
        return None, {"RECOVERY_AUTH": "off"}
    token = keys.new_token()
    keys.issue(database, table, Audit(records, Caller("cli:test"), NOW), "fuzzer", role, token)
    return token, {"RECOVERY_AUTH": "keys"}


@contextmanager
def _serving(package: str, folder: Path, sqs_url: str, **env: str) -> Iterator[tuple[str, Path]]:
    port = free_port()
    log = folder / f"{package}.log"
    settings = {"AWS_ENDPOINT_URL_SQS": sqs_url, "RECOVERY_CREATE_QUEUES": "true"} | _queues(port) | env
    env = environment(**settings)
    with serving(package, "serve", "--port", str(port), port=port, log=log, cwd=folder, env=env):
        yield f"http://127.0.0.1:{port}", log


def _queues(port: int) -> dict[str, str]:
    return {f"RECOVERY_QUEUE_{role.upper()}": f"{role}-{port}" for role in ("high", "standard", "results", "stops")}


# The risk service's database


def _fill_risk(database: Database) -> dict[str, list[Any]]:
    registry = facts.a_registry()
    debtor_ids = [facts.add_debtor(database, registry, **changes) for changes in _SOME_DEBTORS]
    facts.change_debtor(database, debtor_ids[0], registry, late_payments_count=9)
    database.transact(lambda c: debtors.remove(c, debtor_ids[-1], facts.NOON))
    accepted = facts.accept_run(database, registry, limit=3, filters={"min_debt": "10.00", "risk_level": ["HIGH"]})
    cancelled = facts.accept_run(database, registry)
    database.transact(lambda c: service.cancel(c, cancelled, NOW))
    planned = facts.accept_run(database, registry, policy="classic", batch_size=2)
    _plan(database, registry, planned)
    completed = facts.accept_run(database, registry, batch_size=3)
    _plan(database, registry, completed)
    _complete(database, completed)
    job = database.transact(lambda c: scoring.accept(c, ScoringJobIn(), registry, NOW))
    draft = a_policy("ours")
    database.transact(lambda c: upload(c, draft, registry.installation, "cli:test", NOW))
    hashes = [draft.hash, *registry.installation.by_hash]
    return {
        "debtor_id": debtor_ids,
        "run_id": [accepted, cancelled, planned, completed],
        "job_id": [job],
        "name": ["default", "other"],
        "policy_hash": hashes,
        "other_hash": hashes,
        "hold_id": [_hold(database, debtor_id=debtor_ids[0]), _hold(database, person_ref="P-1", portfolio="default")],
    }


def _hold(database: Database, **target: Any) -> str:
    body = HoldIn.model_validate({"kind": "DISPUTE", "reason": "Letter", **target})
    return database.transact(lambda c: holds.place(c, body, "cli:test", NOW))


_SOME_DEBTORS: list[dict[str, Any]] = [
    {"external_ref": "ACC-1", "total_debt_amount": "9999999999.99", "family_situation": "WIDOWED_WITH_DEPENDENTS"},
    {"external_ref": "ACC-2", "person_ref": "P-1", "payment_status": "PAID"},
    {"name": "Zoë Ångström-Ōe 🙂", "monthly_income": "0.00", "employment_status": "UNEMPLOYED"},
    {"portfolio": "other", "late_payments_count": 100_000, "contract_type": "FREELANCE"},
    {"total_debt_amount": "0.01"},
    {"payment_status": "PARTIAL", "family_situation": "SINGLE_NO_DEPENDENTS"},
    {"name": "One Who Will Be Deleted"},
]


def _plan(database: Database, registry: PolicyRegistry, run_id: str) -> None:
    with database.read() as connection:
        run = queries.read(connection, run_id)
        scorer = registry.scorer(connection, run.policy_id)
    planning.Plan(database, database.transact, run, scorer, 1_000).carry_out(lambda: NOW, lambda: False)


def _complete(database: Database, run_id: str) -> None:
    """Let every batch of the run end, one of them dead."""

    def end(connection: Any) -> None:
        run = queries.read(connection, run_id)
        keys = next_batches(connection, [run.number], 1_000, frozenset())
        results.mark_sent(connection, dict.fromkeys(keys, "0" * 64), NOW)
        reports = [(run.number, _report(run_id, key.sequence, dead=key.sequence == 1)) for key in keys]
        results.apply(connection, reports, NOW)

    database.transact(end)


def _report(run_id: str, sequence: int, *, dead: bool) -> BatchResult:
    outcome, reason = (Outcome.DEAD, "poison") if dead else (Outcome.DONE, None)
    return BatchResult(batch_id_of(run_id, sequence), run_id, sequence, outcome, 1, 0, reason, NOW)


# The debt service's database and queues


def _fill_debt(database: Database) -> dict[str, list[Any]]:
    bad = [batches.a_debtor(7, contract_type="?"), {"debtor_id": "none"}, batches.a_debtor(8, monthly_income="=1+1")]
    _record(database, sequence=1, entries=batches.debtors(5), lane="high")
    _record(database, sequence=2, entries=[*batches.debtors(2, first=100), *bad], lane="standard")
    _record(database, "run-2", entries=batches.debtors(1), batches_total=1)
    return {"run_id": [RUN_ID, "run-2"], "debtor_id": [1, 2, 100]}


def _record(database: Database, *args: Any, **changes: Any) -> None:
    batch = batches.a_batch(*args, **changes)
    decided = decide(batch, resolve_policy(batch.header), {101: a_stop(101, 1, payment_status="PAID")})
    database.transact(lambda c: inbox.record(c, decided, batches.NOW, batches.LATER))


async def _send_dead_letters(sqs_url: str, queues: dict[str, str]) -> list[str]:
    settings = DebtSettings(_env_file=None, **{name.lower(): value for name, value in queues.items()})  # type: ignore[call-arg]
    lane = settings.recovery_queue_high
    said = {"reason": "poison", "receive_count": "5", "failed_at": batches.NOW.isoformat(), "lane": "high"}
    letters = [
        Outgoing("1", batches.a_body("run-1", 9), said),
        Outgoing("2", "no JSON at all"),
        Outgoing("3", "{}", {"reason": "odd", "receive_count": "²", "failed_at": "soon"}),
    ]
    async with Sqs("eu-west-1", sqs_url) as sqs:
        await sqs.ensure_queues(queue_specs(settings))
        await sqs.send(f"{lane}-dlq", letters)
        received = await sqs.receive(f"{lane}-dlq", visibility=0)
    return [message.message_id for message in received]
