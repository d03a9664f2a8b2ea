"""What would change a debtor's place: a debt that passes the one above, and each other cell of each factor. Pure."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from recovery_core.money import MAX_MINOR
from recovery_core.policies.document import Policy
from recovery_core.ranking.objective import objective_for
from recovery_core.scoring.places import WITHOUT_VALUE, FactorCell, FactorPlace
from recovery_core.scoring.scorer import Score


class Move(NamedTuple):
    """What another cell of one factor would give: its value as clients see it, and what follows from its points."""

    factor: str
    value: Any
    total_score: int
    risk_level: str
    priority: int


def moves_of(
    policy: Policy, places: Sequence[FactorPlace], facts: Sequence[Any], payment_status: str, blocked: int
) -> Iterator[Move]:
    """Yield what each other cell of each factor would give, in the order of the factors; the debt stays.

    ``blocked`` is the mask of the actions that holds block.
    """
    prioritize = objective_for(policy).priority
    total = sum(place.weight * place.points for place in places)
    for at, place in enumerate(places):
        for which, cell in sorted(enumerate(place.cells), key=_in_order):
            if which == place.here:
                continue
            moved = total + place.weight * (cell.points - place.points)
            points = tuple(cell.points if other == at else one.points for other, one in enumerate(places))
            score = Score(moved, policy.level_of(moved), points, ())
            priority = prioritize(score, facts, payment_status, blocked)
            yield Move(place.name, cell.value, moved, score.risk_level, priority)


def _in_order(numbered: tuple[int, FactorCell]) -> tuple[int, str, int]:
    """Order bands as they come, then categories by name, whose order in a document is no part of the policy."""
    at, cell = numbered
    if isinstance(cell.value, dict):
        return 0, "", at
    return (2 if cell.value in WITHOUT_VALUE else 1), str(cell.value), at


def debt_to_pass(priority: int, debt: int, debtor_id: int, above: tuple[int, int]) -> int | None:
    """Return the smallest debt, in minor units, that would put a debtor before the one above, a priority and an id.

    Score and rate stay, so the priority is proportional to the debt. None where no debt would do, or only one larger
    than any amount.
    """
    each = priority // debt if debt else 0
    if not each:
        return None
    # Of equal priorities the lower id comes first.
    wanted = above[0] if debtor_id < above[1] else above[0] + 1
    needed = -(-wanted // each)
    return needed if needed <= MAX_MINOR else None
