"""A portfolio is scored again in chunks, each a transaction, and goes on where it was interrupted."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, select
from tests.risk_assessment import independent
from tests.risk_assessment.builders import (
    NOON,
    a_registry,
    add_debtor,
    change_debtor,
    debtor_rows,
    generate_debtors,
    row_counts,
)

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import load_policy
from risk_assessment.policies.registry import PolicyRegistry
from risk_assessment.scoring import queries, rescoring, service
from risk_assessment.scoring.schemas import ScoringJobIn
from risk_assessment.tables import assessments
from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaseLostError

Fence = Callable[[Connection], None]


LATER = NOON + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescoring, "CHUNK", 20)


def accept(
    database: Database, policy: str | None = None, portfolio: str = "default", registry: PolicyRegistry | None = None
) -> str:
    body = ScoringJobIn(portfolio=portfolio, policy=policy)
    return database.transact(lambda c: service.accept(c, body, registry or a_registry(), NOON))


def score_chunk(database: Database, registry: PolicyRegistry | None = None, fence: Fence = lambda _: None) -> int:
    """Score the next chunk of the oldest job, as the dispatcher does."""
    with database.read() as connection:
        job = queries.next_job(connection)
        assert job is not None
        scorer = (registry or a_registry()).scorer(connection, job.policy_id)

    def fenced(connection: Connection) -> int:
        fence(connection)
        return rescoring.score_chunk(connection, job, scorer, LATER)

    return database.transact(fenced)


def finish(database: Database, registry: PolicyRegistry | None = None) -> None:
    while score_chunk(database, registry):
        pass


def job_view(database: Database, job_id: str) -> dict[str, Any]:
    with database.read() as connection:
        return queries.view(connection, queries.read(connection, job_id), a_registry())


def history(database: Database) -> dict[tuple[int, int], Any]:
    with database.read() as connection:
        return {(row.debtor_id, row.version): row for row in connection.execute(select(assessments))}


def test_every_debtor_is_scored_again_and_keeps_its_history(database: Database) -> None:
    before = generate_debtors(database, 50)
    old = history(database)
    other = add_debtor(database, portfolio="other")
    job_id = accept(database, "classic")

    finish(database)

    after = debtor_rows(database, "default")
    for was, now in zip(before, after, strict=True):
        assert now["version"] == was["version"] + 1
        assert now["total_score"] == independent.score(now, "classic")
        assert now["priority"] == independent.priority(now, "classic")
        assert now["risk_level"] == independent.level(now["total_score"], "classic")
        assert now["assessed_at"] == LATER
        judged = {"total_score", "priority", "risk_level", "assessed_at", "policy_id", "version"}
        assert {name for name in was if was[name] != now[name]} <= judged
    new = history(database)
    assert {key: new[key] for key in old} == old
    assert set(new) - set(old) == {(row["id"], 2) for row in before} | {(other, 1)}
    for row in after:
        entry = new[row["id"], 2]
        assert (entry.total_score, entry.priority, entry.policy_id) == (
            row["total_score"],
            row["priority"],
            row["policy_id"],
        )
    job = job_view(database, job_id)
    assert (job["state"], job["debtors_total"], job["debtors_scored"], job["debtors_failed"]) == (
        "completed",
        50,
        50,
        0,
    )
    changed = sum(was["risk_level"] != now["risk_level"] for was, now in zip(before, after, strict=True))
    assert job["levels_changed"] == changed > 0
    assert (job["created_at"], job["started_at"], job["finished_at"]) == (NOON, LATER, LATER)
    assert job["policy"]["name"] == "classic"


def test_progress_shows_after_every_chunk(database: Database) -> None:
    generate_debtors(database, 50)
    job_id = accept(database)
    seen = [job_view(database, job_id)]

    while score_chunk(database):
        seen.append(job_view(database, job_id))

    assert [(job["state"], job["debtors_scored"]) for job in seen] == [
        ("accepted", 0),
        ("running", 20),
        ("running", 40),
        ("running", 50),
    ]
    assert [job["debtors_total"] for job in seen] == [None, 50, 50, 50]


def test_an_interrupted_job_goes_on_where_it_stopped(database: Database) -> None:
    generate_debtors(database, 50)
    job_id = accept(database)
    score_chunk(database)

    def interrupted(_connection: object) -> None:
        raise LeaseLostError

    with pytest.raises(LeaseLostError):
        score_chunk(database, fence=interrupted)
    assert job_view(database, job_id)["debtors_scored"] == 20
    # A successor with a registry of its own.
    finish(database, a_registry())

    assert job_view(database, job_id)["debtors_scored"] == 50
    assert {row["version"] for row in debtor_rows(database)} == {2}
    assert row_counts(database)["assessments"] == 100


def test_debtors_the_policy_cannot_score_are_counted_and_left_alone(database: Database) -> None:
    rows = generate_debtors(database, 50)
    for row in rows[::5]:
        change_debtor(database, row["id"], family_situation=None)
    untouched = debtor_rows(database)[::5]
    job_id = accept(database, "classic")

    finish(database)

    job = job_view(database, job_id)
    assert (job["debtors_total"], job["debtors_scored"], job["debtors_failed"]) == (50, 40, 10)
    assert debtor_rows(database)[::5] == untouched


def test_a_debtor_changed_in_the_middle_is_judged_by_its_new_facts(database: Database) -> None:
    rows = generate_debtors(database, 50)
    accept(database)
    score_chunk(database)

    change_debtor(database, rows[0]["id"], late_payments_count=99)
    change_debtor(database, rows[-1]["id"], late_payments_count=99)
    finish(database)

    now = debtor_rows(database)
    assert [now[0]["version"], now[1]["version"], now[-1]["version"]] == [3, 2, 3]
    assert all(row["total_score"] == independent.score(row) for row in now)
    assert set(history(database)) == {(row["id"], v) for row in now for v in range(1, row["version"] + 1)}


def test_an_empty_portfolio_is_scored_at_once(database: Database) -> None:
    job_id = accept(database, portfolio="empty")

    assert not score_chunk(database)

    job = job_view(database, job_id)
    assert (job["state"], job["debtors_total"], job["debtors_scored"]) == ("completed", 0, 0)


def test_jobs_are_done_one_after_the_other(database: Database) -> None:
    generate_debtors(database, 5)
    first, second = accept(database), accept(database, "classic")

    finish(database)
    assert [job_view(database, job)["state"] for job in (first, second)] == ["completed", "accepted"]
    finish(database)

    assert job_view(database, second)["state"] == "completed"
    with database.read() as connection:
        assert queries.next_job(connection) is None


def test_a_failed_job_says_why_and_lets_the_next_one_go(database: Database) -> None:
    failed, following = accept(database), accept(database)
    with database.read() as connection:
        number = queries.read(connection, failed).number

    database.transact(lambda c: rescoring.fail(c, number, "no reason", LATER))

    job = job_view(database, failed)
    assert (job["state"], job["error"], job["finished_at"]) == ("failed", "no reason", LATER)
    with database.read() as connection:
        found = queries.next_job(connection)
        assert found is not None
        assert found.id == following


def test_a_policy_forgotten_by_its_file_still_scores(sqlite: Database) -> None:
    document = dict(built_in_policy("standard").document) | {"name": "ours"}
    generate_debtors(sqlite, 5)
    job_id = accept(sqlite, "ours", registry=a_registry("standard", load_policy(document)))

    finish(sqlite, a_registry())

    assert job_view(sqlite, job_id)["policy"]["name"] == "ours"
