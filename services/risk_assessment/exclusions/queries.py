"""Who a run left out, read from its records: in their order, from any place."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Select, select

from recovery_core.ranking.exclusions import Exclusion, Left, unpack_left
from risk_assessment.exclusions.tables import run_exclusions
from risk_assessment.holds.tables import holds
from service_kit.http.pages import Page, decode_cursor, page_of

Place = tuple[int, int]
"""Number of a part, and how many of its debtors have been shown."""
START: Place = (0, 0)
CHUNK = 2_000
_PARTS_A_QUERY = 4
_HOLDS_A_QUERY = 2_000

Placed = tuple[Place, Exclusion, Left]


def place_in(cursor: str | None) -> Place:
    """Return the place where a page begins. Raises BadCursor."""
    if cursor is None:
        return START
    part, shown = decode_cursor(cursor, (int, int))
    return int(part), int(shown)


def page(
    connection: Connection, run_number: int, reason: Exclusion | None, place: Place, limit: int
) -> Page[dict[str, Any]]:
    """Return who the run left out after a place: up to `limit` debtors, of one reason or of all."""
    found = page_of(_after(connection, run_number, reason, place, limit + 1), limit, lambda placed: placed[0])
    hold_ids = _hold_ids(connection, (hold for _, _, (_, hold, _) in found.items))
    return Page([_shown(reason, left, hold_ids) for _, reason, left in found.items], found.next_cursor)


def _after(
    connection: Connection, run_number: int, reason: Exclusion | None, place: Place, wanted: int
) -> list[Placed]:
    found: list[Placed] = []
    first = place[0]
    while len(found) < wanted:
        parts = connection.execute(_parts(run_number, reason, first)).all()
        for number, of_reason, packed in parts:
            shown = place[1] if number == place[0] else 0
            left = unpack_left(packed)[max(0, shown) :][: wanted - len(found)]
            found += [((number, shown + at), Exclusion(of_reason), one) for at, one in enumerate(left, start=1)]
        if len(parts) < _PARTS_A_QUERY:
            break
        first = parts[-1].part + 1
    return found


def _parts(run_number: int, reason: Exclusion | None, first: int) -> Select[int, str, bytes]:
    columns = run_exclusions.c
    statement = select(columns.part, columns.reason, columns.packed)
    statement = statement.where(columns.run_number == run_number, columns.part >= first)
    if reason is not None:
        statement = statement.where(columns.reason == reason.value)
    return statement.order_by(columns.part).limit(_PARTS_A_QUERY)


def _hold_ids(connection: Connection, numbers: Iterable[int]) -> dict[int, str]:
    wanted = sorted({number for number in numbers if number})
    found: dict[int, str] = {}
    for start in range(0, len(wanted), _HOLDS_A_QUERY):
        some = holds.c.number.in_(wanted[start : start + _HOLDS_A_QUERY])
        found |= dict(connection.execute(select(holds.c.number, holds.c.id).where(some)).all())
    return found


def _shown(reason: Exclusion, left: Left, hold_ids: dict[int, str]) -> dict[str, Any]:
    debtor_id, hold, lead = left
    return {
        "debtor_id": debtor_id,
        "reason": reason,
        "hold_id": hold_ids[hold] if hold else None,
        "lead_debtor_id": lead or None,
    }
