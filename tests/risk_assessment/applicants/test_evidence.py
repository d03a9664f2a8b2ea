"""A run over real applicants, whose policy reads attributes alone: planned, explained and replayed as an oracle says.

The policy is the example's with `value_per_effort`. Some applicants share a person, some have paid, some are on hold,
and there is too little room for two actions.
"""

import hashlib
import json
from collections import Counter
from decimal import Decimal
from typing import Any

from sqlalchemy import update
from tests.risk_assessment.applicants.book import (
    CAPACITIES,
    SPILL,
    THRESHOLD,
    a_run,
    by_effort,
    registry,
)
from tests.risk_assessment.applicants.oracle import (
    BY_EFFORT,
    EXAMPLES,
    FACTORS,
    NAME,
    Applicant,
    level_of,
    moves,
    points_of,
    priority_of,
    ranked,
    score_of,
)
from tests.risk_assessment.builders import NOON, change_debtor, debtor_rows
from tests.risk_assessment.evidence.manifests import LOOKED_AT, canonical, manifest_hash, order_hash
from tests.risk_assessment.exclusions.eligibility import ACTION_NAMES
from tests.risk_assessment.planned import bodies_of, order_of, received, run_row, run_view
from tests.risk_assessment.simulations.test_simulating import simulated_by

from recovery_core.decisions.decide import decide
from recovery_core.messages.batch import resolve_policy
from risk_assessment.debtors import service as debtors
from risk_assessment.evidence import queries
from risk_assessment.evidence.explaining import explain
from risk_assessment.evidence.replaying import Result, replay
from risk_assessment.exclusions.selection import Selection
from risk_assessment.portfolios import service
from risk_assessment.portfolios.schemas import PortfolioIn
from risk_assessment.previews.preview import Preview
from risk_assessment.tables import assessments
from service_kit.database.engine import Database


def test_a_run_over_attributes_ranks_and_leaves_out_as_the_oracle(
    database: Database, applicants: list[Applicant]
) -> None:
    order, left = ranked(applicants, CAPACITIES)
    run_id = a_run(database)

    assert order_of(database, run_id) == order
    counts = dict(Counter(left.values()))
    assert run_view(database, run_id, registry())["excluded"] == counts
    assert counts.keys() == {"PAID", "COVERED", "CAPACITY_AGENT_CALL", "CAPACITY_SPECIALIST_REVIEW"}
    assert run_row(database, run_id).debtors_high == sum(priority > THRESHOLD for priority, _ in order) > 0
    priorities = {debtor_id: priority for priority, debtor_id in order}
    decided = []
    for body in bodies_of(database, run_id, registry()).values():
        batch = received(body)
        found = decide(batch, resolve_policy(batch.header), now=NOON)
        assert (found.score_mismatches, found.skips, found.failures) == (0, [], [])
        decided += [(one[2], one[1]) for one in found.decisions]
    assert sorted(decided) == sorted((priority, debtor_id) for debtor_id, priority in priorities.items())


def test_every_place_is_explained_as_the_oracle_does(database: Database, applicants: list[Applicant]) -> None:
    order, left = ranked(applicants, CAPACITIES)
    run_id = a_run(database)
    found, ranks = run_row(database, run_id), {debtor_id: at for at, (_, debtor_id) in enumerate(order)}
    with database.read() as connection:
        scorer = registry().scorer(connection, found.policy_id)
        shown = {one.debtor_id: explain(connection, found, scorer, one.debtor_id) for one in applicants}
    for one in applicants:
        place, score = shown[one.debtor_id], score_of(one.cells())
        assert (place["total_score"], place["risk_level"]) == (score, level_of(score))
        assert place["priority"] == money(priority_of(score, one))
        assert place["reason"] == left.get(one.debtor_id)
        assert place["factors"] == {
            name: {
                "value": one.seen()[name],
                "points": (points := points_of(name, one.cells()[name])),
                "weight": weight,
                "contribution": weight * points,
            }
            for name, (weight, _) in FACTORS.items()
        }
        rank = ranks.get(one.debtor_id)
        assert place["rank"] == (None if rank is None else rank + 1)
        if rank is not None:
            around = [order[rank - 1] if rank else None, order[rank + 1] if rank + 1 < len(order) else None]
            assert [adjacent(place[side]) for side in ("above", "below")] == around
            assert place["debt_to_pass_above"] == debt_to_pass(one, around[0])
    for one in applicants[::6]:
        assert shown[one.debtor_id]["moves"] == list(moves(one, order)), one


def test_the_manifest_hashes_are_those_that_the_description_gives(
    database: Database, applicants: list[Applicant]
) -> None:
    order, _ = ranked(applicants, CAPACITIES)
    run_id = a_run(database)
    found = run_row(database, run_id)
    with database.read() as connection:
        manifest = queries.manifest(connection, found, by_effort())

    rows = {row["id"]: row for row in debtor_rows(database, NAME)}
    ordered = sorted(applicants, key=lambda one: one.debtor_id)
    first: dict[int, int] = {}
    for one in ordered:
        first.setdefault(one.person_id or 0, one.debtor_id)
    snapshot = {
        "debtors": [[*(rows[one.debtor_id][name] for name in LOOKED_AT), one.read_attributes()] for one in ordered],
        "holds": [
            [one.debtor_id, "DISPUTE", [name for name in ACTION_NAMES if name in one.blocked]]
            for one in ordered
            if one.blocked
        ],
        "persons": [[one.debtor_id, first[one.person_id]] for one in ordered if one.person_id],
    }
    high = [entry for entry in order if entry[0] > THRESHOLD]
    assert manifest["snapshot_hash"] == hashlib.sha256(canonical(snapshot)).hexdigest()
    assert manifest["lanes"]["high"]["order_hash"] == order_hash(high)
    assert manifest["lanes"]["standard"]["order_hash"] == order_hash(order[len(high) :])
    assert (manifest["objective"], manifest["capacities"]) == (BY_EFFORT, CAPACITIES)
    assert manifest["manifest_hash"] == manifest_hash(manifest) == found.manifest_hash


def test_it_replays_whatever_became_of_the_applicants_and_of_the_declaration(
    database: Database, applicants: list[Applicant]
) -> None:
    run_id = a_run(database)
    stored = run_row(database, run_id).manifest_hash

    for one in applicants[::4]:
        changes = {"records": True, "seniority": 0, "home": None, "expenses": "9000.00"}
        change_debtor(database, one.debtor_id, registry(), attributes=changes)
    for one in applicants[1::4]:
        database.transact(lambda c, gone=one.debtor_id: debtors.remove(c, gone, NOON))
    wider = json.loads((EXAMPLES / f"{NAME}.declaration.json").read_text(encoding="utf-8"))
    wider["attributes"]["nickname"] = {"type": "category", "values": ["A", "B"]}
    declared = PortfolioIn.model_validate(wider)
    database.transact(lambda c: service.replace(c, NAME, declared, registry(), NOON))

    assert replay(database, run_id, SPILL)[:3] == (run_id, Result.IDENTICAL, stored)


CHANGED: list[tuple[dict[str, Any], str | None]] = [
    ({"records": True}, "assessment"),
    ({"assets": None}, "assessment"),
    ({"home": "CASTLE"}, "entry"),  # the policy cannot score it, so it would not be ranked
    ({"job": 7}, "entry"),
    ({"seniority": 3_000}, "snapshot_hash"),  # within the same band
    ({"age": 77}, None),  # the policy does not read it
    ({}, None),
]


def test_a_changed_attribute_of_stored_history_is_named(database: Database, applicants: list[Applicant]) -> None:
    order, _ = ranked(applicants, CAPACITIES)
    run_id = a_run(database)
    ids = {debtor_id for _, debtor_id in order}
    one = next(one for one in applicants if one.debtor_id in ids and is_calm(one))
    [kept] = [json.loads(row["attributes"]) for row in debtor_rows(database, NAME) if row["id"] == one.debtor_id]
    for changes, what in CHANGED:
        with database.write() as connection:
            here = update(assessments).where(assessments.c.debtor_id == one.debtor_id)
            connection.execute(here.values(attributes=json.dumps(kept | changes)))

        difference = replay(database, run_id, SPILL).difference

        assert (difference.what if difference else None) == what, changes


def is_calm(one: Applicant) -> bool:
    """Whether this applicant has assets, no records, and more than ten years of seniority."""
    return one.row["Records"] == "no" and int(one.row["Seniority"]) > 10 and one.row["Assets"] not in ("", "0.0")


def test_the_preview_and_a_simulation_of_the_active_policy_are_the_run(
    database: Database, applicants: list[Applicant]
) -> None:
    order, left = ranked(applicants, CAPACITIES)
    with database.read() as connection:
        policy = registry().active(connection, NAME)
        policy_id = registry().find_id(connection, policy)
        selection = Selection(NAME, policy_id, registry().scorer(connection, policy_id))  # type: ignore[arg-type]
        preview = Preview(database, connection, selection, THRESHOLD, NOON).show(500, None, CAPACITIES)
    simulation = simulated_by(
        database,
        registry(),
        portfolio=NAME,
        policy=NAME,
        threshold=f"{THRESHOLD / 100:.2f}",
        capacities=CAPACITIES,
    )

    counts = dict(Counter(left.values()))
    assert [line["debtor_id"] for line in preview["top"]] == [debtor_id for _, debtor_id in order]
    assert preview["excluded"] == simulation["excluded"]["today"] == simulation["excluded"]["proposed"] == counts
    high = sum(priority > THRESHOLD for priority, _ in order)
    assert preview["lanes"] == simulation["lanes"]["proposed"] == {"high": high, "standard": len(order) - high}
    by_id = {one.debtor_id: one for one in applicants}
    owed: Counter[str] = Counter()
    for _, debtor_id in order:
        owed[level_of(score_of(by_id[debtor_id].cells()))] += by_id[debtor_id].debt
    assert {level: one["debt"] for level, one in simulation["exposure"]["proposed"].items()} == {
        level: money(debt) for level, debt in owed.items()
    }


def adjacent(shown: dict[str, Any] | None) -> tuple[int, int] | None:
    return None if shown is None else (int(Decimal(shown["priority"]) * 100), shown["debtor_id"])


def debt_to_pass(one: Applicant, above: tuple[int, int] | None) -> str | None:
    """The least debt, with rate and cost as they are, found by trying around the quotient."""
    each = priority_of(score_of(one.cells()), one) // one.debt
    if above is None or not each:
        return None
    near = above[0] // each
    least = next(debt for debt in range(near - 2, near + 3) if (-each * debt, one.debtor_id) < (-above[0], above[1]))
    return None if least > 999_999_999_999 else money(least)


def money(minor: int) -> str:
    return f"{Decimal(minor) / 100:.2f}"
