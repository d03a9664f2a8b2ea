"""Rows of the treatment that no debtor reaches: exact over level × lane × payment status × attributes × debt.

Each condition is a dimension with finitely many values; debts between two borders count as one. The linter takes the
rows from the top and keeps the cases that no row has matched yet, as boxes that do not overlap. Attributes are taken as
independent of the level.
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence, Set
from itertools import islice
from typing import NamedTuple

from recovery_core.money import MAX_MINOR
from recovery_core.policies.linting.attribute_values import attribute_dimensions
from recovery_core.policies.parts import Lane, TreatmentRow
from recovery_core.profile import PaymentStatus

RANKED = (PaymentStatus.UNPAID, PaymentStatus.PARTIAL)
"""The payment statuses of debtors that a run may rank."""

MAX_NAMED = 5
"""How many of the rows above are named in one finding."""

Box = tuple[int, ...]
"""The cases that match in every dimension: of each, the set of its values as bits."""


MAX_BOXES = 1_000
"""How many boxes are kept for a table that asks for attributes: many attributes could make any number of them."""


class TooManyCasesError(Exception):
    """The rows divide the cases into too many boxes; the rows yielded before are exact."""


class Unreachable(NamedTuple):
    """A row that no debtor reaches, and why."""

    position: int
    reason: str


def unreachable_rows(rows: Sequence[TreatmentRow], levels: Set[str]) -> Iterator[Unreachable]:
    """Yield the rows that no debtor of a run reaches when only these levels are reached; never the last row.

    Raises TooManyCasesError where the rows from here on cannot be judged.
    """
    space = _Space(rows, levels)
    boxes = [space.box(row) for row in rows]
    free = [space.everything]
    for index, (row, box) in enumerate(zip(rows[:-1], boxes, strict=False)):
        if not any(_overlap(part, box) for part in free):
            yield Unreachable(index, space.missing(row, box) or _masked_by(box, boxes[:index]))
        free = _subtract(free, box)
        if space.has_attributes and len(free) > MAX_BOXES:
            raise TooManyCasesError


class _Space:
    """The dimensions of a treatment table and the values that debtors of a run may have in each."""

    def __init__(self, rows: Sequence[TreatmentRow], levels: Set[str]) -> None:
        self._values = {
            "level": sorted(levels),
            "lane": [str(lane) for lane in Lane],
            "payment_status": [str(status) for status in RANKED],
        }
        borders = {border for row in rows for border in row.debt_range if border is not None}
        # The debts that stand for all: the lowest, and each one at which a row begins or ends.
        self._debts = sorted({1} | {border for border in borders if 1 < border <= MAX_MINOR})
        self._attributes = attribute_dimensions(rows)
        self.everything: Box = (
            *(_bits(values, values) for values in self._values.values()),
            *(dimension.everything for dimension in self._attributes.values()),
            self._debt_bits(0, None),
        )

    @property
    def has_attributes(self) -> bool:
        """Whether any row asks for an attribute."""
        return bool(self._attributes)

    def box(self, row: TreatmentRow) -> Box:
        """Return the cases that match a row."""
        named = [
            _bits(values, values if allowed is None else allowed)
            for values, allowed in zip(self._values.values(), self._allowed(row), strict=True)
        ]
        asked = row.attributes or {}
        attributes = [dimension.bits(asked.get(name)) for name, dimension in self._attributes.items()]
        return (*named, *attributes, self._debt_bits(*row.debt_range))

    def missing(self, row: TreatmentRow, box: Box) -> str | None:
        """Return which condition of the row no debtor of a run meets, None if each is met by some."""
        for name, part, allowed in zip(self._values, box, self._allowed(row), strict=False):
            if not part:
                return f"none has {name} {' or '.join(allowed or ())}"
        return None if box[-1] else "none has such a debt"

    def _debt_bits(self, start: int, end: int | None) -> int:
        first = bisect_left(self._debts, start)
        beyond = len(self._debts) if end is None else max(first, bisect_left(self._debts, end))
        return (1 << beyond) - (1 << first)

    def _allowed(self, row: TreatmentRow) -> list[Sequence[str] | None]:
        return [getattr(row, name) for name in self._values]


def _bits(values: Sequence[str], chosen: Sequence[str]) -> int:
    wanted = set(chosen)
    return sum(1 << position for position, value in enumerate(values) if value in wanted)


def _overlap(left: Box, right: Box) -> bool:
    return all(mine & other for mine, other in zip(left, right, strict=True))


def _subtract(boxes: Sequence[Box], taken: Box) -> list[Box]:
    """Return the cases of boxes that are outside another, again as boxes that do not overlap."""
    return [part for box in boxes for part in _parts_outside(box, taken)]


def _parts_outside(box: Box, taken: Box) -> Iterator[Box]:
    if not _overlap(box, taken):
        yield box
        return
    # One part a dimension: inside the other box in the dimensions before it, outside in this one.
    for at, (mine, other) in enumerate(zip(box, taken, strict=True)):
        if outside := mine & ~other:
            yield (*(a & b for a, b in zip(box[:at], taken[:at], strict=True)), outside, *box[at + 1 :])


def _masked_by(box: Box, above: Sequence[Box]) -> str:
    """Name the rows that match, one after the other, every case of the box."""
    named = list(islice(_masks(box, above), MAX_NAMED + 1))
    more = " and others" if len(named) > MAX_NAMED else ""
    return f"rows above match every debtor that it would: {', '.join(named[:MAX_NAMED])}{more}"


def _masks(box: Box, above: Sequence[Box]) -> Iterator[str]:
    left = [box]
    for position, other in enumerate(above):
        if any(_overlap(part, other) for part in left):
            yield f"treatment.{position}"
            left = _subtract(left, other)
            if len(left) > MAX_BOXES:
                return
