"""The book: every debtor of a portfolio in columns, judged by two policies. Pure.

A debtor is judged as a run and a consumer judge it: by the same scorer, objective, lane, treatment and reasons. What a
policy says of it is one of a few verdicts, so a column of small integers names the verdict.
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from recovery_core.holds import Block
from recovery_core.policies.document import Policy
from recovery_core.profile import DEBT_AT, PaymentStatus
from recovery_core.ranking.capacities import RankedActions
from recovery_core.ranking.exclusions import Exclusion, held
from recovery_core.ranking.objective import lane_of, objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.scorer import scorer_for

Row = Sequence[Any]
"""A debtor: its id, the number of its person or None, its payment status, and its facts in the order of ``Facts``."""

_PAID = PaymentStatus.PAID.value


class Verdict(NamedTuple):
    """What a policy says of a debtor. One that is left out has a reason and nothing else."""

    reason: Exclusion | None = None
    level: str = ""
    lane: str = ""
    action: str | None = None
    """None where holds block the action of every row that matches."""


class Judge:
    """Judges debtors under one policy, and names each verdict by a number."""

    def __init__(self, policy: Policy, threshold: int) -> None:
        self.policy = policy
        self._threshold = threshold
        self._score, self._priority_of = scorer_for(policy).score, objective_for(policy).priority
        self._action = RankedActions(policy, threshold).action
        self._codes: dict[Verdict, int] = {}

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts so far, in the order of their numbers."""
        return list(self._codes)

    def judge(self, rows: Iterable[Row], blocked: Mapping[int, Block], codes: "array[int]", priorities: Any) -> None:
        """Add the number of the verdict and the priority of each debtor; a debtor that is left out has priority 0."""
        numbers, judged = self._codes, []
        for row in rows:
            block = blocked.get(row[0]) if blocked else None
            if row[2] == _PAID:
                verdict, priority = Verdict(Exclusion.PAID), 0
            elif block is not None and block.is_total:
                verdict, priority = Verdict(held(block.kind)), 0
            else:
                verdict, priority = self._judge(row[3:], row[2], block.mask if block else 0)
            number = numbers.get(verdict)
            if number is None:
                number = numbers[verdict] = len(numbers)
            judged.append((number, priority))
        codes.extend([number for number, _ in judged])
        priorities.extend([priority for _, priority in judged])

    def _judge(self, facts: Sequence[Any], status: str, mask: int) -> tuple[Verdict, int]:
        try:
            score = self._score(facts)
        except ScoringError:
            return Verdict(Exclusion.NOT_SCORABLE), 0
        priority = self._priority_of(score, facts, status, mask)
        lane, action = lane_of(priority, self._threshold), self._action(priority, score, facts, status, mask)
        return Verdict(None, score.risk_level, lane.value, action), priority


class Side:
    """One policy's judgement of the whole book: the number of a verdict and a priority for each debtor."""

    def __init__(self, judge: Judge) -> None:
        self.judge = judge
        self.codes, self.priorities = array("H"), array("q")

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdicts, in the order of their numbers."""
        return self.judge.verdicts


class Book:
    """The debtors of a portfolio in order of their ids: about 44 bytes for each."""

    def __init__(self, today: Policy, proposed: Policy, threshold: int) -> None:
        self.ids, self.debts, self.persons = array("q"), array("q"), array("q")
        self.today, self.proposed = Side(Judge(today, threshold)), Side(Judge(proposed, threshold))

    def __len__(self) -> int:
        return len(self.ids)

    def add(self, rows: Sequence[Row], blocked: Mapping[int, Block]) -> None:
        """Add debtors with higher ids than all before. `blocked` has those on hold."""
        self.ids.extend([row[0] for row in rows])
        self.persons.extend([row[1] or 0 for row in rows])
        self.debts.extend([row[3 + DEBT_AT] for row in rows])
        for side in (self.today, self.proposed):
            side.judge.judge(rows, blocked, side.codes, side.priorities)
