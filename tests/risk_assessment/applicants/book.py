"""Real applicants as a portfolio: some share a person, some have paid, some are on hold; and a run over it."""

import json
from dataclasses import replace
from pathlib import Path

from sqlalchemy import update
from tests.risk_assessment.applicants.oracle import BY_EFFORT, EXAMPLES, NAME, Applicant, applicants_file, extract
from tests.risk_assessment.builders import NOON, a_registry, accept_run, change_debtor, debtor_rows
from tests.risk_assessment.commands import run
from tests.risk_assessment.evidence.books import remember_persons
from tests.risk_assessment.exclusions.eligibility import ACTION_NAMES, Placed
from tests.risk_assessment.exclusions.test_eligibility import persons_in, record
from tests.risk_assessment.planned import plan

from recovery_core.policies.document import Policy, load_policy
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.portfolios import service
from risk_assessment.portfolios.schemas import PortfolioIn
from risk_assessment.tables import debtors
from service_kit.database.engine import Database

CAPACITIES = {"AGENT_CALL": 9, "SPECIALIST_REVIEW": 4, "LEGAL_REVIEW": 0}
THRESHOLD = 10_000_000_00
SPILL = 50


def by_effort() -> Policy:
    document = json.loads((EXAMPLES / f"{NAME}.json").read_text(encoding="utf-8"))
    return load_policy(document | {"objective": BY_EFFORT})


def registry() -> PolicyRegistry:
    return a_registry(NAME, by_effort())


def imported(database: Database, folder: Path) -> list[Applicant]:
    """Import applicants by the example's mapping, in the working folder, and return what became of them then."""
    rows = extract(applicants_file(), folder / "extract.csv", each=8, first=170)
    (folder / "policies").mkdir()
    policy = json.dumps(by_effort().document)
    (folder / "policies" / f"{NAME}.json").write_text(policy, encoding="utf-8")
    declared = PortfolioIn.model_validate_json((EXAMPLES / f"{NAME}.declaration.json").read_bytes())
    database.transact(lambda c: service.replace(c, NAME, declared, registry(), NOON))
    url = database.engine.url.render_as_string(hide_password=False)
    done = run(
        *("import-debtors", "extract.csv", "--mapping", EXAMPLES / f"{NAME}.toml", "--json"),
        **{"RISK_DATABASE_URL": url, "RISK_POLICY_DIR": "policies", "RISK_POLICY": NAME},
    )
    assert json.loads(done.out)["created"] == len(rows), done.err
    ids = {row["external_ref"]: row["id"] for row in debtor_rows(database, NAME)}
    found = [_upset(database, at, Applicant(row, ids[row["rownames"]])) for at, row in enumerate(rows)]
    return _with_persons(database, found)


def _upset(database: Database, at: int, one: Applicant) -> Applicant:
    """Let every eleventh one pay, and place a hold on every fifth one: on one action or on two."""
    if at % 11 == 3:
        change_debtor(database, one.debtor_id, registry(), payment_status="PAID")
        return replace(one, payment_status="PAID")
    if at % 5 == 2:
        blocked = frozenset({"AGENT_CALL"} if at % 2 else {"SPECIALIST_REVIEW", "AGENT_CALL"})
        bits = frozenset(ACTION_NAMES.index(name) for name in blocked)
        record(database, Placed(at, one.debtor_id, None, "DISPUTE", bits, NOON, None, None))
        return replace(one, blocked=blocked)
    return one


def _with_persons(database: Database, applicants: list[Applicant]) -> list[Applicant]:
    """Make one person of three of every seven."""
    person_ids = persons_in(database, 30)
    shared = [
        replace(one, person_id=person_ids[at // 7]) if at % 7 in (1, 2, 4) and at // 7 < len(person_ids) else one
        for at, one in enumerate(applicants)
    ]
    with database.write() as connection:
        for one in shared:
            here = update(debtors).where(debtors.c.id == one.debtor_id)
            connection.execute(here.values(person_id=one.person_id))
    remember_persons(database)
    return shared


def a_run(database: Database) -> str:
    options = {"portfolio": NAME, "batch_size": 9, "threshold": f"{THRESHOLD / 100:.2f}", "capacities": CAPACITIES}
    run_id = accept_run(database, registry(), **options)
    plan(database, run_id, registry())
    return run_id
