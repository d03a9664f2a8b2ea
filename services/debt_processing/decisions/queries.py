"""Recorded decisions, skips and errors: a run's in the order of work, a debtor's decisions newest first."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Row, Table, and_, func, or_, select

from debt_processing.batches.queries import find_run, scorer_of
from debt_processing.batches.tables import batches
from debt_processing.decisions.schemas import DecisionPage, RunError, RunErrorPage, SkipPage
from debt_processing.decisions.tables import decisions, errors, skips
from debt_processing.runs.tables import runs
from recovery_core.holds import actions_of
from recovery_core.money import format_money
from service_kit.auth.portfolios import Portfolios
from service_kit.http.pages import Page, decode_cursor, fetch_page, page_of

Place = tuple[int, int]
"""Batch sequence and position of the row shown last."""
START: Place = (0, -1)

CHUNK = 2_000
_BATCHES_A_QUERY = 500
_OF_BATCH: tuple[ColumnElement[Any], ...] = (batches.c.lane, batches.c.finished_at, batches.c.stops_seen)
_SKIP_FIELDS = ("debtor_id", "batch_sequence", "position", "reason", "detail", "recorded_at")
_ERROR_FIELDS = ("debtor_id", "batch_sequence", "position", "stage", "error", "detail", "recorded_at")


@dataclass(frozen=True, slots=True)
class Only:
    """Which decisions are wanted: those of an action and a level, each None for any."""

    action: str | None = None
    level: str | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """Return what these decisions have in common, for SQL."""
        wanted = ((decisions.c.action, self.action), (decisions.c.risk_level, self.level))
        return [column == value for column, value in wanted if value is not None]

    def may_be_in(self) -> list[ColumnElement[bool]]:
        """Return what is true of every batch with such decisions, for SQL: its outcomes name action and level."""
        named = [f'"{name}"' for name in (self.action, self.level) if name is not None]
        return [batches.c.outcomes.contains(name, autoescape=True) for name in named]

    def count(self, outcomes: dict[str, dict[str, int]]) -> int:
        """Return how many such decisions a batch with these outcomes has."""
        levels = outcomes.values() if self.level is None else (outcomes.get(self.level, {}),)
        return sum(number for actions in levels for action, number in actions.items() if self.action in (None, action))


EVERY = Only()


def place_of(row: dict[str, Any]) -> Place:
    """Return the place of a row as clients see it."""
    return row["batch_sequence"], row["position"]


def decision_page(
    connection: Connection, run_id: str, within: Portfolios, limit: int, cursor: str | None, only: Only = EVERY
) -> DecisionPage:
    """Return one page of a run's decisions. Raises RunUnknown, BadCursor."""
    found = decision_chunk(connection, run_id, within, _place_in(cursor), limit + 1, only)
    page = page_of(found, limit, place_of)
    return DecisionPage.model_validate({"items": page.items, "next_cursor": page.next_cursor})


def decision_chunk(
    connection: Connection,
    run_id: str,
    within: Portfolios,
    place: Place = START,
    size: int = CHUNK,
    only: Only = EVERY,
) -> list[dict[str, Any]]:
    """Return the run's next decisions after a place, as clients see them. Raises RunUnknown."""
    run = find_run(connection, run_id, within)
    rows: Sequence[Row[Any]]
    if only == EVERY:
        rows = _after(connection, decisions, run.number, place, size)
    else:
        rows = _chosen_after(connection, run.number, place, size, only)
    about = _batches(connection, run.number, rows)
    return [_shown(row, run, about[row.batch_sequence]) for row in rows]


def skip_page(connection: Connection, run_id: str, within: Portfolios, limit: int, cursor: str | None) -> SkipPage:
    """Return one page of a run's skips. Raises RunUnknown, BadCursor."""
    found = skip_chunk(connection, run_id, within, _place_in(cursor), limit + 1)
    page = page_of(found, limit, place_of)
    return SkipPage.model_validate({"items": page.items, "next_cursor": page.next_cursor})


def skip_chunk(
    connection: Connection, run_id: str, within: Portfolios, place: Place = START, size: int = CHUNK
) -> list[dict[str, Any]]:
    """Return the run's next skips after a place, as clients see them. Raises RunUnknown."""
    run = find_run(connection, run_id, within)
    rows = _after(connection, skips, run.number, place, size)
    about = _batches(connection, run.number, rows)
    return [_shown_skip(row, run_id, about[row.batch_sequence].stops_seen) for row in rows]


def error_page(
    connection: Connection, run_id: str, within: Portfolios, limit: int, cursor: str | None, kind: str | None = None
) -> RunErrorPage:
    """Return one page of a run's errors, of one kind or of all. Raises RunUnknown, BadCursor."""
    found = error_chunk(connection, run_id, within, _place_in(cursor), limit + 1, kind)
    page = page_of(found, limit, place_of)
    return RunErrorPage.model_validate({"items": page.items, "next_cursor": page.next_cursor})


def error_chunk(
    connection: Connection,
    run_id: str,
    within: Portfolios,
    place: Place = START,
    size: int = CHUNK,
    kind: str | None = None,
) -> list[dict[str, Any]]:
    """Return the run's next errors after a place, as clients see them. Raises RunUnknown."""
    run = find_run(connection, run_id, within)
    if kind is None:
        return _shown_errors(run_id, _after(connection, errors, run.number, place, size))
    return _shown_errors(run_id, _errors_of_kind(connection, run.number, kind, place, size))


def first_errors(connection: Connection, run: Row[Any], count: int) -> list[RunError]:
    """Return the first errors of a run, in the order of work."""
    shown = _shown_errors(run.run_id, _after(connection, errors, run.number, START, count))
    return [RunError.model_validate(one) for one in shown]


def error_kinds(connection: Connection, numbers: Sequence[int]) -> dict[int, dict[str, int]]:
    """Return how many errors of each kind runs have, by the numbers of the runs. An index is counted."""
    statement = select(errors.c.run_number, errors.c.error, func.count()).where(errors.c.run_number.in_(numbers))
    found: dict[int, dict[str, int]] = {}
    for number, kind, count in connection.execute(statement.group_by(errors.c.run_number, errors.c.error)):
        found.setdefault(number, {})[kind] = count
    return {number: dict(sorted(kinds.items())) for number, kinds in found.items()}


def history(connection: Connection, debtor_id: int, within: Portfolios, limit: int, cursor: str | None) -> DecisionPage:
    """Return one page of a debtor's decisions over the runs of these portfolios, newest first. Raises BadCursor."""
    page = _history(connection, decisions, debtor_id, within, limit, cursor)
    items = [_shown(row, row, row) for row in page.items]
    return DecisionPage.model_validate({"items": items, "next_cursor": page.next_cursor})


def skip_history(
    connection: Connection, debtor_id: int, within: Portfolios, limit: int, cursor: str | None
) -> SkipPage:
    """Return one page of a debtor's skips over the runs of these portfolios, newest first. Raises BadCursor."""
    page = _history(connection, skips, debtor_id, within, limit, cursor)
    items = [_shown_skip(row, row.run_id, row.stops_seen) for row in page.items]
    return SkipPage.model_validate({"items": items, "next_cursor": page.next_cursor})


def _history(
    connection: Connection, table: Table, debtor_id: int, within: Portfolios, limit: int, cursor: str | None
) -> Page[Row[Any]]:
    """Return one page of a debtor's rows with their run and batch: a walk along the key of debtor and run."""
    same_batch = and_(batches.c.run_number == table.c.run_number, batches.c.sequence == table.c.batch_sequence)
    found = select(table, runs, *_OF_BATCH).join(runs, runs.c.number == table.c.run_number).join(batches, same_batch)
    statement = found.where(table.c.debtor_id == debtor_id).order_by(table.c.run_number.desc())
    if within is not None:
        statement = statement.where(runs.c.portfolio.in_(within))
    if cursor is not None:
        statement = statement.where(table.c.run_number < decode_cursor(cursor, [int])[0])
    return fetch_page(connection, statement, limit, lambda row: [row.run_number])


def list_cell(values: Iterable[dict[str, Any] | str]) -> str:
    """Return reasons, by their codes, or actions as one cell of a table."""
    return ";".join(value if isinstance(value, str) else value["code"] for value in values)


def _place_in(cursor: str | None) -> Place:
    if cursor is None:
        return START
    sequence, position = decode_cursor(cursor, [int, int])
    return int(sequence), int(position)


def _after(
    connection: Connection,
    table: Table,
    run_number: int,
    place: Place,
    size: int,
    *conditions: ColumnElement[bool],
) -> Sequence[Row[Any]]:
    """Return the run's next rows after a place: a walk along the primary key."""
    statement = (
        select(table)
        .where(table.c.run_number == run_number, _is_after(table, place), *conditions)
        .order_by(table.c.batch_sequence, table.c.position)
        .limit(size)
    )
    return connection.execute(statement).all()


def _errors_of_kind(connection: Connection, run_number: int, kind: str, place: Place, size: int) -> Sequence[Row[Any]]:
    """Return the run's next errors of a kind after a place."""
    # The index alone has these columns, so that both databases walk it rather than the table.
    places = select(errors.c.batch_sequence, errors.c.position).where(
        errors.c.run_number == run_number, errors.c.error == kind, _is_after(errors, place)
    )
    chosen = places.order_by(errors.c.batch_sequence, errors.c.position).limit(size).subquery()
    same = and_(
        errors.c.run_number == run_number,
        errors.c.batch_sequence == chosen.c.batch_sequence,
        errors.c.position == chosen.c.position,
    )
    found = connection.execute(select(errors).select_from(chosen.join(errors, same)))
    return sorted(found, key=lambda row: (row.batch_sequence, row.position))


def _chosen_after(connection: Connection, run_number: int, place: Place, size: int, only: Only) -> Sequence[Row[Any]]:
    """Return the run's next decisions of these, from those batches alone whose outcomes say that they have some."""
    statement = (
        select(batches.c.sequence, batches.c.outcomes)
        .where(batches.c.run_number == run_number, batches.c.sequence >= place[0], *only.may_be_in())
        .order_by(batches.c.sequence)
        .limit(size + 1)
    )
    sequences, after_place = [], 0
    for sequence, outcomes in connection.execute(statement):
        count = only.count(orjson.loads(outcomes))
        if count:
            sequences.append(sequence)
            after_place += count if sequence > place[0] else 0
        if after_place >= size:
            break
    found: list[Row[Any]] = []
    for start in range(0, len(sequences), _BATCHES_A_QUERY):
        some = decisions.c.batch_sequence.in_(sequences[start : start + _BATCHES_A_QUERY])
        found += _after(connection, decisions, run_number, place, size - len(found), some, *only.conditions())
    return found


def _is_after(table: Table, place: Place) -> ColumnElement[bool]:
    sequence, position = place
    # The first comparison alone gives both databases the range of the key where the walk begins.
    return and_(
        table.c.batch_sequence >= sequence,
        or_(table.c.batch_sequence > sequence, table.c.position > position),
    )


def _batches(connection: Connection, number: int, rows: Sequence[Row[Any]]) -> dict[int, Row[Any]]:
    """Return what is true of the whole batches that these rows, in the order of work, belong to."""
    if not rows:
        return {}
    statement = select(batches.c.sequence, *_OF_BATCH).where(
        batches.c.run_number == number,
        batches.c.sequence.between(rows[0].batch_sequence, rows[-1].batch_sequence),
    )
    return {row.sequence: row for row in connection.execute(statement)}


def _shown(row: Row[Any], run: Row[Any], batch: Row[Any]) -> dict[str, Any]:
    return {
        "run_id": run.run_id,
        "debtor_id": row.debtor_id,
        "batch_sequence": row.batch_sequence,
        "position": row.position,
        "lane": batch.lane,
        "high_priority": row.priority > run.threshold,
        "priority": format_money(row.priority),
        "total_score": row.total_score,
        "risk_level": row.risk_level,
        "action": row.action,
        "reasons": _reasons(run.policy_document, row.reasons),
        "blocked": actions_of(row.blocked or 0),
        "stops_seen": batch.stops_seen,
        "decided_at": batch.finished_at,
    }


def _shown_errors(run_id: str, rows: Iterable[Row[Any]]) -> list[dict[str, Any]]:
    return [{"run_id": run_id} | {name: row._mapping[name] for name in _ERROR_FIELDS} for row in rows]


def _shown_skip(row: Row[Any], run_id: str, stops_seen: int | None) -> dict[str, Any]:
    return {"run_id": run_id, "stops_seen": stops_seen} | {name: row._mapping[name] for name in _SKIP_FIELDS}


@lru_cache(maxsize=10_000)
def _reasons(policy_document: str, codes: str) -> list[dict[str, Any]]:
    # Debtors share few combinations of reasons, and an export shows millions of debtors.
    return [reason.model_dump() for reason in scorer_of(policy_document).reasons(codes.split())]
