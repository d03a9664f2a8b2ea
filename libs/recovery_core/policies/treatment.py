"""Treatment: the action that a policy chooses for a debtor; the first row of its table that matches wins."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from heapq import heappop, heappush
from itertools import product

from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Lane, RiskLevel, TreatmentRow
from recovery_core.profile import PaymentStatus


class Treatment:
    """The treatment table of one policy, laid out for fast look-up. Threads may share it."""

    def __init__(self, policy: Policy) -> None:
        cases = product(map(str, RiskLevel), map(str, Lane), map(str, PaymentStatus))
        self._steps = {case: _steps([row for row in policy.treatment if _applies(row, *case)]) for case in cases}

    def action(self, risk_level: str, lane: str, payment_status: str, debt_minor: int) -> str:
        """Return the action for a debtor, debt in minor units. Raises KeyError for an unknown level, lane or status."""
        starts, actions = self._steps[risk_level, lane, payment_status]
        return actions[bisect_right(starts, debt_minor) - 1]


@lru_cache(maxsize=64)
def treatment_for(policy: Policy) -> Treatment:
    """Return the treatment table of a policy, laid out once per content."""
    return Treatment(policy)


def _applies(row: TreatmentRow, risk_level: str, lane: str, payment_status: str) -> bool:
    conditions = ((row.level, risk_level), (row.lane, lane), (row.payment_status, payment_status))
    return all(allowed is None or value in allowed for allowed, value in conditions)


def _steps(rows: Sequence[TreatmentRow]) -> tuple[list[int], list[str]]:
    """Return the debts where the action changes, and the action from each of them; the first is 0.

    Sweep over the borders of debt. A heap holds the positions of the rows that have begun, so the row that wins is on
    top, and n rows take O(n log n) steps.
    """
    begins = deque(sorted((row.debt_range[0], position) for position, row in enumerate(rows)))
    borders = {0} | {border for row in rows for border in row.debt_range if border is not None}
    begun: list[int] = []
    starts: list[int] = []
    actions: list[str] = []
    for debt in sorted(borders):
        while begins and begins[0][0] <= debt:
            heappush(begun, begins.popleft()[1])
        while _has_ended(rows[begun[0]], debt):
            heappop(begun)
        if not actions or actions[-1] != rows[begun[0]].action:
            starts.append(debt)
            actions.append(rows[begun[0]].action)
    return starts, actions


def _has_ended(row: TreatmentRow, debt: int) -> bool:
    _, end = row.debt_range
    return end is not None and end <= debt
