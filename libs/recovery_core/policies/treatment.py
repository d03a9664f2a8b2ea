"""Treatment: the action that a policy chooses for a debtor; the first row of its table that matches wins."""

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from heapq import heappop, heappush
from itertools import product
from typing import Any

from recovery_core.attributes import Values
from recovery_core.policies.conditions import AskedAttributes
from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Action, Lane, RiskLevel, TreatmentRow
from recovery_core.profile import PaymentStatus

Steps = tuple[list[int], list[Any]]
"""The debts where the action changes, and the action from each of them, None where there is none; the first is 0."""


_MAX_LAID_OUT = 10_000
"""How many tables are kept for debtors whose attributes or holds differ; ordinary portfolios need a few."""


class Treatment:
    """The treatment table of one policy, laid out for fast look-up. Threads may share it."""

    def __init__(self, policy: Policy) -> None:
        cases = product(map(str, RiskLevel), map(str, Lane), map(str, PaymentStatus))
        self._asked = AskedAttributes(policy.treatment)
        self._rows = {case: [row for row in policy.treatment if _applies(row, *case)] for case in cases}
        self._steps = {} if self._asked else {case: _steps(rows) for case, rows in self._rows.items()}
        self._laid_out: dict[tuple[int, int, str, str, str], Steps] = {}

    def action(
        self, risk_level: str, lane: str, payment_status: str, debt_minor: int, attributes: str | Values | None = None
    ) -> str:
        """Return the action for a debtor, debt in minor units, attributes as they are stored or sent.

        Raises KeyError for an unknown level, lane or status.
        """
        if self._asked:
            starts, actions = self._steps_for(0, self._asked.met_by(attributes), (risk_level, lane, payment_status))
        else:
            starts, actions = self._steps[risk_level, lane, payment_status]
        action: str = actions[bisect_right(starts, debt_minor) - 1]  # the last row of a policy matches all
        return action

    def permitted_action(
        self,
        risk_level: str,
        lane: str,
        payment_status: str,
        debt_minor: int,
        blocked: int,
        attributes: str | Values | None = None,
    ) -> str | None:
        """Return the action of the first row that matches and is not blocked, by a mask with bits in order of Action.

        None if there is no such row. Raises KeyError for an unknown level, lane or status.
        """
        met = self._asked.met_by(attributes) if self._asked else 0
        starts, actions = self._steps_for(blocked, met, (risk_level, lane, payment_status))
        action: str | None = actions[bisect_right(starts, debt_minor) - 1]
        return action

    def _steps_for(self, blocked: int, met: int, case: tuple[str, str, str]) -> Steps:
        key = (blocked, met, *case)
        # Laid out when first asked for: of 64 masks, and of what attributes may meet together, few ever occur.
        found = self._laid_out.get(key)
        if found is None:
            allowed = {action for bit, action in enumerate(Action) if not blocked >> bit & 1}
            rows = [row for row in self._rows[case] if row.action in allowed and self._asked.are_met(row, met)]
            if len(self._laid_out) >= _MAX_LAID_OUT:
                self._laid_out.clear()
            found = self._laid_out[key] = _steps(rows)
        return found


@lru_cache(maxsize=64)
def treatment_for(policy: Policy) -> Treatment:
    """Return the treatment table of a policy, laid out once per content."""
    return Treatment(policy)


def _applies(row: TreatmentRow, risk_level: str, lane: str, payment_status: str) -> bool:
    conditions = ((row.level, risk_level), (row.lane, lane), (row.payment_status, payment_status))
    return all(allowed is None or value in allowed for allowed, value in conditions)


def _steps(rows: Sequence[TreatmentRow]) -> Steps:
    """Return the debts where the action changes, and the action from each of them: None where no row applies.

    Sweep over the borders of debt. A heap holds the positions of the rows that have begun, so the row that wins is on
    top, and n rows take O(n log n) steps.
    """
    begins = deque(sorted((row.debt_range[0], position) for position, row in enumerate(rows)))
    borders = {0} | {border for row in rows for border in row.debt_range if border is not None}
    begun: list[int] = []
    starts: list[int] = []
    actions: list[Any] = []
    for debt in sorted(borders):
        while begins and begins[0][0] <= debt:
            heappush(begun, begins.popleft()[1])
        while begun and _has_ended(rows[begun[0]], debt):
            heappop(begun)
        action = rows[begun[0]].action if begun else None
        if not actions or actions[-1] != action:
            starts.append(debt)
            actions.append(action)
    return starts, actions


def _has_ended(row: TreatmentRow, debt: int) -> bool:
    _, end = row.debt_range
    return end is not None and end <= debt
