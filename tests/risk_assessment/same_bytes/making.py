"""Everything that must be the same bytes everywhere, made of three fixed portfolios; a program that prints the hashes.

    python -m tests.risk_assessment.same_bytes.making sqlite:////tmp/empty.db [--without-numpy] [--check]

It needs what the product needs and nothing else, so that any Python with the product can run it: `make same-bytes`.

`golden.json` has the hashes that `--check` and the tests compare with. A change of behaviour that is meant changes it:
print them, compare what has changed, and commit it.
"""

import asyncio
import hashlib
import json
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

if __name__ == "__main__" and "--without-numpy" in sys.argv:
    sys.modules["numpy"] = None  # type: ignore[assignment]

import orjson
from sqlalchemy import update
from starlette.types import Message
from tests.risk_assessment.builders import NOON, a_registry, accept_run, generate_debtors
from tests.risk_assessment.planned import batches_of, bodies_of, plan, received, run_row
from tests.risk_assessment.same_bytes.books import (
    add_own,
    add_plain,
    own_facts,
    own_policies,
    own_registry,
    place_holds,
    plain_facts,
)

from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from recovery_core.policies.builtin import built_in_policies
from recovery_core.policies.document import Policy
from recovery_core.policies.lint import lint
from recovery_core.policies.linting.findings import Jurisdiction
from recovery_core.simulation import columns
from recovery_core.simulation.report import arithmetic
from risk_assessment.comparisons import comparing
from risk_assessment.comparisons.schemas import ComparedDebtorOut
from risk_assessment.evidence import queries as evidence
from risk_assessment.evidence.explaining import explain
from risk_assessment.evidence.replaying import replay
from risk_assessment.exclusions.schemas import ExclusionOut
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios import queries as portfolios
from risk_assessment.previews.preview import Preview
from risk_assessment.reports import queries as reports
from risk_assessment.reports.concentration import points
from risk_assessment.runs import queries as runs
from risk_assessment.scoring.service import score_all
from risk_assessment.simulations import queries as simulations
from risk_assessment.simulations import service as simulation_service
from risk_assessment.simulations.schemas import SimulationIn
from risk_assessment.simulations.simulating import simulate
from risk_assessment.tables import runs as runs_table
from service_kit.database.engine import Database
from service_kit.database.migrations import upgrade
from service_kit.http.exports import Format, export
from service_kit.http.routing.threads import RouteThreads

GOLDEN = Path(__file__).with_name("golden.json")

Made = dict[str, bytes]


def everything(database: Database) -> Made:
    """Make all of it in an empty database."""
    made: Made = {}
    add_plain(database)
    add_own(database)
    place_holds(database)
    for policy in (*built_in_policies().values(), *own_policies()):
        made[f"policy {policy.name}"] = _json([policy.hash, _linted(policy)])
    everyone = [
        ("plain", a_registry(), {"limit": 12, "filters": {"min_debt": "15.00"}}, "classic"),
        ("own", own_registry(), {"capacities": {"AGENT_CALL": 4, "LEGAL_REVIEW": 0}}, "own"),
    ]
    for name, registry, options, other in everyone:
        for what, found in _of_portfolio(database, name, registry, options, other):
            made[f"{name} {what}"] = found
    made["scores"] = _json(score_all([plain_facts(at) for at in range(60)], a_registry().installation.default, NOON))
    made["own scores"] = _json(score_all([own_facts(at) for at in range(45)], own_policies()[1], NOON))
    generated = generate_debtors(database, 80, seed=5, portfolio="generated")
    made["generated"] = _json(
        [{name: one[name] for name in one if name not in ("id", "person_id")} for one in generated]
    )
    return made


def _of_portfolio(
    database: Database, name: str, registry: PolicyRegistry, options: dict[str, Any], other: str
) -> Iterator[tuple[str, bytes]]:
    first = _planned(database, registry, f"{name}-1", portfolio=name, batch_size=7, threshold="900000.00")
    run_id = _planned(database, registry, f"{name}-2", portfolio=name, batch_size=5, threshold="400000.00", **options)
    for one in (first, run_id):
        yield f"manifest {one}", _manifest(database, registry, one)
        yield f"plan {one}", _json(batches_of(database, one))
        yield f"messages {one}", _json(bodies_of(database, one, registry))
        yield f"decisions {one}", _decisions(bodies_of(database, one, registry))
        yield f"explanations {one}", _explanations(database, registry, one)
        yield f"replay {one}", _json(replay(database, one, 20))
        for kind in ("csv", "ndjson"):
            yield f"exclusions {one} {kind}", _exclusions(database, one, kind)  # type: ignore[arg-type]
    yield from _comparison(database, registry, run_id, first)
    yield "simulation", _simulation(database, registry, portfolio=name, policy=other, top_k=15, threshold="400000.00")
    capacities = {"AGENT_CALL": 3, "SELF_SERVICE_REMINDER": 9}
    yield (
        "simulation by account",
        _simulation(
            database, registry, portfolio=name, policy="standard", top_k=5, unit="account", capacities=capacities
        )
        if name == "plain"
        else b"",
    )
    yield from _reports(database, registry, name)


def _linted(policy: Policy) -> Any:
    return lint(policy, Jurisdiction.US).model_dump(mode="json")


def _planned(database: Database, registry: PolicyRegistry, run_id: str, **options: Any) -> str:
    accepted = accept_run(database, registry, **options)
    with database.write() as connection:
        connection.execute(update(runs_table).where(runs_table.c.id == accepted).values(id=run_id))
    plan(database, run_id, registry)
    return run_id


def _manifest(database: Database, registry: PolicyRegistry, run_id: str) -> bytes:
    run = run_row(database, run_id)
    with database.read() as connection:
        found = evidence.manifest(connection, run, registry.scorer(connection, run.policy_id).policy)
    return _json({name: value for name, value in found.items() if name != "code_version"})


def _decisions(bodies: dict[int, str]) -> bytes:
    found = [decide(batch, resolve_policy(batch.header), now=NOON) for batch in map(received, bodies.values())]
    return _json([[one.decisions, one.skips, one.failures] for one in found])


def _explanations(database: Database, registry: PolicyRegistry, run_id: str) -> bytes:
    run = run_row(database, run_id)
    ids = range(1, 61) if run.portfolio == "plain" else range(61, 106)
    with database.read() as connection:
        scorer = registry.scorer(connection, run.policy_id)
        return _json([explain(connection, run, scorer, debtor_id) for debtor_id in ids])


def _exclusions(database: Database, run_id: str, kind: Format) -> bytes:
    with database.read() as connection:
        page = runs.exclusion_page(connection, run_id, None, None, None, 500)
    rows = [ExclusionOut.model_validate(one).model_dump(mode="json") for one in page.items]
    return _exported(kind, tuple(ExclusionOut.model_fields), [rows])


def _comparison(database: Database, registry: PolicyRegistry, run_id: str, earlier: str) -> Iterator[tuple[str, bytes]]:
    this, before = run_row(database, run_id), run_row(database, earlier)
    with database.read() as connection:
        found = comparing.compare(connection, this, before, registry)
    yield "comparison", _json([found.totals(), found.items(0, 500)])
    yield "comparison csv", _exported("csv", tuple(ComparedDebtorOut.model_fields), [found.items(0, 500)])


def _exported(kind: Format, names: tuple[str, ...], chunks: list[list[dict[str, Any]]]) -> bytes:
    sent: list[bytes] = []

    async def receive() -> Message:
        return {"type": "http.request"}

    async def send(message: Message) -> None:
        sent.append(message.get("body", b""))

    async def collect() -> None:
        app = SimpleNamespace(state=SimpleNamespace(threads=RouteThreads(1)))
        scope = {"type": "http", "asgi": {"spec_version": "2.4"}, "app": app}
        await export(kind, "file", names, iter(chunks))(scope, receive, send)

    asyncio.run(collect())
    return b"".join(sent)


def _simulation(database: Database, registry: PolicyRegistry, **options: Any) -> bytes:
    body = SimulationIn.model_validate(options)
    simulation_id = database.transact(lambda c: simulation_service.accept(c, body, registry, NOON))
    with database.read() as connection:
        row = simulations.read(connection, simulation_id)
        return _json(simulate(connection, row, registry, NOON, lambda *_: None))


def _reports(database: Database, registry: PolicyRegistry, name: str) -> Iterator[tuple[str, bytes]]:
    with database.read() as connection:
        portfolio = portfolios.read(connection, name)
        yield "summary", _json(reports.summary(database, connection, portfolio, registry, NOON))
        selection = reports.selection_now(connection, name, registry)
        yield "concentration", _json(points(database, connection, selection, NOON))
        shown = Preview(database, connection, selection, 40_000_000, NOON).show(30, None, {"AGENT_CALL": 3})
        yield "preview", _json(shown)


def _json(value: Any) -> bytes:
    """Return a value as JSON, in the order of its keys: that must be the same too."""
    return json.dumps(orjson.loads(orjson.dumps(value, default=_plain, option=orjson.OPT_NON_STR_KEYS))).encode()


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else list(value)


def hashes(made: Made) -> dict[str, str]:
    """Return the SHA-256 of each."""
    return {name: hashlib.sha256(found).hexdigest() for name, found in sorted(made.items())}


def golden() -> dict[str, str]:
    """Return the hashes that everybody must come to."""
    found: dict[str, str] = json.loads(GOLDEN.read_text(encoding="utf-8"))
    return found


def main(url: str, *options: str) -> int:
    """Make everything in a database, and print the hashes, or with `--check` whether they are the golden ones."""
    upgrade(url, "risk_assessment")
    database = Database(url)
    made = hashes(everything(database))
    database.dispose()
    by = "without numpy" if arithmetic() is columns else "with numpy"
    if "--check" not in options:
        print(json.dumps({"made": f"Python {platform.python_version()} {by}", "hashes": made}, indent=2))
        return 0
    differing = sorted(name for name in made.keys() | golden() if made.get(name) != golden().get(name))
    found = f"different: {', '.join(differing)}" if differing else f"the same {len(made)} hashes"
    print(f"Python {platform.python_version()} {by}: {found}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
