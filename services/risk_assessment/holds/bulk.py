"""Many holds at once, for imports: finds the target of each row, and records those that were not imported before.

A row is recognized by its target, kind, times and source, so that the same rows again change nothing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any, NamedTuple
from uuid import uuid4

import orjson
from sqlalchemy import Connection, Select, select

from recovery_core.holds import HoldTimesError, resolve
from risk_assessment.changes import service as changes
from risk_assessment.debtors.tables import debtors
from risk_assessment.holds.queries import zone_of
from risk_assessment.holds.service import Target, default_mask
from risk_assessment.holds.tables import holds
from risk_assessment.persons.service import ids_of
from risk_assessment.policies.queries import require_portfolio
from risk_assessment.stops import service as stops
from service_kit.auth.portfolios import PortfolioNotFoundError
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text

CHUNK = 1_000
"""Holds a transaction: large enough for speed, short enough not to keep other writers waiting."""


class HoldRow(NamedTuple):
    """A validated row: one of the three names of a target, and for the references their portfolio."""

    number: int
    portfolio: str | None
    debtor_id: int | None
    external_ref: str | None
    person_ref: str | None
    kind: str
    starts: date | datetime
    until: date | datetime | None
    reason: str
    source: str | None


@dataclass(slots=True)
class Outcome:
    """What became of some rows; `rejected` has row number, column and reason."""

    created: int = 0
    unchanged: int = 0
    rejected: list[tuple[int, str, str]] = field(default_factory=list)


class _Timed(NamedTuple):
    """A row whose portfolio and debtor exist. Its person may be still to create."""

    row: HoldRow
    portfolio: str
    debtor_id: int | None
    starts_at: datetime
    ends_at: datetime | None


class _RefusedError(ValueError):
    def __init__(self, column: str, reason: str) -> None:
        super().__init__(reason)
        self.column = column


def place_all(connection: Connection, rows: Sequence[HoldRow], actor: str, now: datetime) -> Outcome:
    """Record up to CHUNK holds, and note the stops of the debtors they concern."""
    found, outcome = _Found(connection, rows), Outcome()
    timed: list[_Timed] = []
    for row in rows:
        try:
            timed.append(found.timed(row))
        except _RefusedError as error:
            outcome.rejected.append((row.number, error.column, str(error)))
    by_key: dict[str, tuple[Target, _Timed]] = {}
    for target, one in _targets(connection, timed):
        by_key.setdefault(_key(target, one.row), (target, one))
    for known in _known_keys(connection, by_key):
        del by_key[known]
    _insert(connection, by_key, actor, now)
    _note(connection, [target for target, _ in by_key.values()], now)
    changes.note(connection, *(target.portfolio for target, _ in by_key.values()))
    outcome.created, outcome.unchanged = len(by_key), len(timed) - len(by_key)
    return outcome


class _Found:
    """The portfolios with their time zones, and the debtors, that rows name."""

    def __init__(self, connection: Connection, rows: Sequence[HoldRow]) -> None:
        ids = sorted({row.debtor_id for row in rows if row.debtor_id is not None})
        by_id = select(debtors.c.id, debtors.c.portfolio).where(debtors.c.id.in_(ids)).order_by(debtors.c.id)
        self._portfolio_of = {int(one.id): str(one.portfolio) for one in connection.execute(_locked(by_id))}
        refs: defaultdict[str, set[str]] = defaultdict(set)
        for row in rows:
            if row.external_ref is not None and row.portfolio is not None:
                refs[row.portfolio].add(row.external_ref)
        self._ids = {portfolio: _debtors_by_ref(connection, portfolio, named) for portfolio, named in refs.items()}
        named = {row.portfolio for row in rows if row.portfolio is not None} | set(self._portfolio_of.values())
        self._zones = {name: zone_of(connection, name) for name in sorted(named) if _exists(connection, name)}

    def timed(self, row: HoldRow) -> _Timed:
        """Return a row with its debtor and its instants. Raises _RefusedError."""
        portfolio, debtor_id = self._target(row)
        try:
            starts_at, ends_at = resolve(row.starts, row.until, self._zones[portfolio])
        except HoldTimesError as error:
            raise _RefusedError(error.field, str(error)) from error
        return _Timed(row, portfolio, debtor_id, starts_at, ends_at)

    def _target(self, row: HoldRow) -> tuple[str, int | None]:
        if row.debtor_id is not None:
            portfolio = self._portfolio_of.get(row.debtor_id)
            if portfolio is None or row.portfolio not in (None, portfolio):
                raise _RefusedError("debtor_id", "there is no such debtor")
            return portfolio, row.debtor_id
        if row.portfolio is None:
            raise _RefusedError(
                "portfolio", "must be given with external_ref and person_ref, in the file or by --portfolio"
            )
        if row.portfolio not in self._zones:
            raise _RefusedError("portfolio", "there is no such portfolio")
        if row.external_ref is None:
            return row.portfolio, None
        debtor_id = self._ids[row.portfolio].get(row.external_ref)
        if debtor_id is None:
            raise _RefusedError("external_ref", "there is no such debtor")
        return row.portfolio, debtor_id


def _exists(connection: Connection, portfolio: str) -> bool:
    try:
        require_portfolio(connection, portfolio)
    except PortfolioNotFoundError:
        return False
    return True


def _debtors_by_ref(connection: Connection, portfolio: str, refs: Iterable[str]) -> dict[str, int]:
    same = select(debtors.c.external_ref, debtors.c.id).where(
        debtors.c.portfolio == portfolio, debtors.c.external_ref.in_(sorted(refs))
    )
    found = connection.execute(_locked(same.order_by(debtors.c.external_ref)))
    return {str(one.external_ref): int(one.id) for one in found}


def _locked(statement: Select[Any]) -> Select[Any]:
    """Return a select of debtors that keeps them from being deleted or moved before the holds are there."""
    return statement.with_for_update(read=True)


def _targets(connection: Connection, timed: Sequence[_Timed]) -> list[tuple[Target, _Timed]]:
    """Return each row with its target, and create the persons that are new."""
    refs: defaultdict[str, set[str]] = defaultdict(set)
    for one in timed:
        if one.row.person_ref is not None:
            refs[one.portfolio].add(one.row.person_ref)
    ids = {portfolio: ids_of(connection, portfolio, named) for portfolio, named in sorted(refs.items())}

    def target(one: _Timed) -> Target:
        person_ref = one.row.person_ref
        return Target(one.portfolio, one.debtor_id, None if person_ref is None else ids[one.portfolio][person_ref])

    return [(target(one), one) for one in timed]


def _key(target: Target, row: HoldRow) -> str:
    """Return what an imported row is recognized by. Dates stay dates, lest another time zone make another hold."""
    times = (_canonical(row.starts), None if row.until is None else _canonical(row.until))
    content = ["debtor" if target.person_id is None else "person", target.debtor_id or target.person_id, row.kind]
    return hashlib.sha256(orjson.dumps([*content, *times, row.source])).hexdigest()


def _canonical(time: date | datetime) -> str:
    return time.astimezone(UTC).isoformat() if isinstance(time, datetime) else time.isoformat()


def _note(connection: Connection, targets: Sequence[Target], now: datetime) -> None:
    """Note the debtors that are targets, and those who are a person that is one, as `stops.note_person` does."""
    person_ids = sorted({target.person_id for target in targets if target.person_id is not None})
    stops.lock_person(connection, *person_ids)
    same = select(debtors.c.id).where(debtors.c.person_id.in_(person_ids))
    of_persons = connection.execute(same).scalars().all() if person_ids else []
    stops.note(connection, [*of_persons, *(one.debtor_id for one in targets if one.debtor_id is not None)], now)


def _known_keys(connection: Connection, keys: Iterable[str]) -> list[str]:
    known = select(holds.c.import_key).where(holds.c.import_key.in_(sorted(keys)))
    return [str(key) for key in connection.execute(known).scalars()]


_COLUMNS = (
    "id",
    "portfolio",
    "debtor_id",
    "person_id",
    "kind",
    "blocked",
    "reason",
    "source",
    "starts_at",
    "ends_at",
    "recorded_at",
    "recorded_by",
    "import_key",
)


def _insert(connection: Connection, by_key: dict[str, tuple[Target, _Timed]], actor: str, now: datetime) -> None:
    rows = [
        (
            str(uuid4()),
            target.portfolio,
            target.debtor_id,
            target.person_id,
            one.row.kind,
            default_mask(one.row.kind),
            one.row.reason,
            one.row.source,
            utc_text(one.starts_at),
            None if one.ends_at is None else utc_text(one.ends_at),
            utc_text(now),
            actor,
            key,
        )
        for key, (target, one) in by_key.items()
    ]
    # Another import of the same file may be at work: then its rows count.
    insert_rows(connection, holds, _COLUMNS, rows, ignore_duplicates=True)
