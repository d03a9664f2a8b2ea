"""The outbox: which batches go next, what their messages say, and what is written once they are sent.

A batch is written down before it is sent and marked after; a crash in between sends it again, which the consumer's
inbox makes harmless. A message is built from immutable rows, so it is the same bytes each time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from recovery_core.messages import BatchHeader, PolicyHeader, batch_id_of, encode_batch
from recovery_core.money import format_money
from recovery_core.policy import Lane, Policy, built_in_policies
from recovery_core.scoring import Scorer
from risk_assessment.planning import unpack_entries
from risk_assessment.policies import PolicyShelf
from risk_assessment.tables import PROFILE_FIELDS, assessments, run_batches, run_entries, runs

MAX_SENDS = 8
"""A batch that was sent this often and never reported done is given up as dead."""

LANES = (Lane.HIGH.value, Lane.STANDARD.value)


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Which batch: the run's number and the batch's place in it."""

    run_number: int
    sequence: int
    lane: str


def outstanding(connection: Connection) -> int:
    """Batches sent and not yet reported, over all runs."""
    statement = (
        select(func.count())
        .select_from(run_batches.join(runs, runs.c.number == run_batches.c.run_number))
        .where(runs.c.state.in_(("publishing", "published")), run_batches.c.state == "sent")
    )
    return connection.execute(statement).scalar_one()


def next_batches(connection: Connection, room: int, leave_out: frozenset[BatchKey]) -> list[BatchKey]:
    """Up to `room` planned batches, the high lane of every run before any standard batch, in each run's order."""
    found: list[BatchKey] = []
    publishing = connection.execute(select(runs.c.number).where(runs.c.state == "publishing")).scalars().all()
    for lane in LANES:
        for number in sorted(publishing):
            wanted = room - len(found)
            if wanted > 0:
                found += _planned(connection, number, lane, wanted, leave_out)
    return found


def due_again(connection: Connection, now: datetime, resend_after: float) -> list[BatchKey]:
    """Batches sent and not reported for too long; each further send waits longer than the one before."""
    statement = (
        select(run_batches)
        .join(runs, runs.c.number == run_batches.c.run_number)
        .where(runs.c.state.in_(("publishing", "published")), run_batches.c.state == "sent")
        .where(run_batches.c.sent_at <= now - timedelta(seconds=resend_after))
        .order_by(run_batches.c.run_number, run_batches.c.sequence)
        .limit(1_000)
    )
    return [
        BatchKey(row.run_number, row.sequence, row.lane)
        for row in connection.execute(statement)
        if row.sends < MAX_SENDS and row.sent_at <= now - timedelta(seconds=resend_after * _patience(row.sends))
    ]


def messages(connection: Connection, keys: Sequence[BatchKey], shelf: PolicyShelf) -> dict[BatchKey, str]:
    """The body of each batch's message, built from the assessments it refers to."""
    headers = _Headers(connection, shelf)
    entries = _entries(connection, keys)
    facts = _facts(connection, chain.from_iterable(entries.values()))
    return {key: headers.body(key, entries[key], facts) for key in keys}


def mark_sent(connection: Connection, keys: Sequence[BatchKey], now: datetime) -> None:
    """Note that these batches went out. One that was reported done or cancelled in the meantime stays so."""
    for number, sequences in _by_run(keys).items():
        connection.execute(
            update(run_batches)
            .where(run_batches.c.run_number == number, run_batches.c.sequence.in_(sequences))
            .where(run_batches.c.state.in_(("planned", "sent")))
            .values(state="sent", sends=run_batches.c.sends + 1, sent_at=now)
        )


def mark_published(connection: Connection, now: datetime) -> list[str]:
    """Move every run whose batches have all been sent to `published`; return their ids."""
    publishing = connection.execute(select(runs).where(runs.c.state == "publishing").with_for_update()).all()
    done = [row for row in publishing if not _any_in(connection, row.number, ("planned",))]
    for row in done:
        connection.execute(update(runs).where(runs.c.number == row.number).values(state="published", published_at=now))
    return [row.id for row in done]


def next_to_plan(connection: Connection) -> Row[Any] | None:
    """The oldest run that has no plan yet, or one that was cut off."""
    waiting = select(runs).where(runs.c.state.in_(("accepted", "planning"))).order_by(runs.c.number)
    return connection.execute(waiting.limit(1)).one_or_none()


def _patience(sends: int) -> int:
    return int(min(2 ** (sends - 1), 4))


def _planned(
    connection: Connection, number: int, lane: str, wanted: int, leave_out: frozenset[BatchKey]
) -> list[BatchKey]:
    statement = (
        select(run_batches.c.sequence)
        .where(run_batches.c.run_number == number, run_batches.c.state == "planned", run_batches.c.lane == lane)
        .order_by(run_batches.c.sequence)
        .limit(wanted + len(leave_out))
    )
    keys = (BatchKey(number, sequence, lane) for sequence in connection.execute(statement).scalars())
    return [key for key in keys if key not in leave_out][:wanted]


def _any_in(connection: Connection, number: int, states: tuple[str, ...]) -> bool:
    statement = select(run_batches.c.sequence).where(
        run_batches.c.run_number == number, run_batches.c.state.in_(states)
    )
    return connection.execute(statement.limit(1)).first() is not None


Entries = list[tuple[int, int, int]]
Facts = dict[tuple[int, int], tuple[Any, ...]]


def _by_run(keys: Sequence[BatchKey]) -> dict[int, list[int]]:
    runs_of: dict[int, list[int]] = {}
    for key in keys:
        runs_of.setdefault(key.run_number, []).append(key.sequence)
    return runs_of


def _entries(connection: Connection, keys: Sequence[BatchKey]) -> dict[BatchKey, Entries]:
    packed = {}
    for number, sequences in _by_run(keys).items():
        here = (run_entries.c.run_number == number) & run_entries.c.sequence.in_(sequences)
        for sequence, entries in connection.execute(select(run_entries.c.sequence, run_entries.c.entries).where(here)):
            packed[number, sequence] = entries
    return {key: unpack_entries(packed[key.run_number, key.sequence]) for key in keys}


FACTS_A_QUERY = 500


def _facts(connection: Connection, entries: Iterable[tuple[int, int, int]]) -> Facts:
    """The inputs each assessment judged, by (debtor id, version)."""
    columns = [assessments.c.debtor_id, *(assessments.c[field] for field in PROFILE_FIELDS)]
    found: Facts = {}
    for version, ids in _ids_by_version(entries).items():
        for start in range(0, len(ids), FACTS_A_QUERY):
            these = assessments.c.debtor_id.in_(ids[start : start + FACTS_A_QUERY])
            for row in connection.execute(select(*columns).where(these, assessments.c.version == version)):
                debtor_id, *facts = row
                found[debtor_id, version] = tuple(facts)
    return found


def _ids_by_version(entries: Iterable[tuple[int, int, int]]) -> dict[int, list[int]]:
    """Most debtors share a few versions; one version a query lets every database use its key."""
    ids: dict[int, list[int]] = {}
    for _, debtor_id, version in entries:
        ids.setdefault(version, []).append(debtor_id)
    for group in ids.values():
        group.sort()
    return ids


class _Headers:
    """Message headers, one query a run."""

    def __init__(self, connection: Connection, shelf: PolicyShelf) -> None:
        self._connection, self._shelf = connection, shelf
        self._runs: dict[int, tuple[Row[Any], Scorer]] = {}

    def body(self, key: BatchKey, entries: Entries, facts: Facts) -> str:
        run, scorer = self._run(key.run_number)
        header = BatchHeader(
            batch_id=batch_id_of(run.id, key.sequence),
            run_id=run.id,
            sequence=key.sequence,
            lane=key.lane,
            portfolio=run.portfolio,
            policy=policy_header(scorer.policy),
            as_of=run.as_of,
            threshold=run.threshold,
            batches_total=run.batches_total,
            debtors_total=run.debtors_ranked,
        )
        return encode_batch(header, [_message_entry(entry, facts) for entry in entries]).decode()

    def _run(self, number: int) -> tuple[Row[Any], Scorer]:
        if number not in self._runs:
            run = self._connection.execute(select(runs).where(runs.c.number == number)).one()
            self._runs[number] = run, self._shelf.scorer(self._connection, run.policy_id)
        return self._runs[number]


def policy_header(policy: Policy) -> PolicyHeader:
    """How a message names its policy: a policy that is not built in travels with its document."""
    built_in = any(known.hash == policy.hash for known in built_in_policies().values())
    return PolicyHeader(policy.name, policy.version, policy.hash, None if built_in else policy.document)


def _message_entry(entry: tuple[int, int, int], facts: Facts) -> dict[str, Any]:
    priority, debtor_id, version = entry
    debt, income, late, employment, contract, industry, family, payment_status = facts[debtor_id, version]
    return {
        "debtor_id": debtor_id,
        "priority": format_money(priority),
        "total_score": priority // debt,
        "total_debt_amount": format_money(debt),
        "monthly_income": format_money(income),
        "late_payments_count": late,
        "employment_status": employment,
        "contract_type": contract,
        "industry_sector": industry,
        "family_situation": family,
        "payment_status": payment_status,
    }
