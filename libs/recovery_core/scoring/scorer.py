"""Scoring: one profile under one policy gives points, a total score, a level and reason codes.

All arithmetic that decides anything is exact integer arithmetic. Unknown categories are rejected.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from recovery_core.attributes import NO_VALUES, values_of
from recovery_core.policies.document import Policy
from recovery_core.policies.factors import Factors
from recovery_core.profile import ATTRIBUTES_AT
from recovery_core.scoring.cells import NO_INCOME, Borders, Cell, ScoringError, cell_reader
from recovery_core.scoring.reasons import Reason
from recovery_core.scoring.tables import tables_of

__all__ = ["Score", "Scorer", "ScoringError", "scorer_for"]

_USUAL = tuple(Factors.model_fields)
_MAX_CACHED = 100_000  # every combination of cells under the built-in policies fits


class Score(NamedTuple):
    """What a policy says of a debtor, without wording. Points are in the order of the policy's factors.

    All debtors that stand in the same cells share one object.
    """

    total_score: int
    risk_level: str
    points: tuple[int, ...]
    reason_codes: tuple[str, ...]


class Scorer:
    """Scores debtors under one policy. Threads may share it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.max_score = policy.max_score
        factors = policy.factors
        self._tables = tables_of(factors)
        self._reasons = {reason.code: reason for table in self._tables for reason in table.reasons.values()}
        self._readers = [cell_reader(name, factor) for name, factor in factors.used().items()]
        self._names = tuple(factors.used())
        self._reads_attributes = any(factor.reads_attributes for factor in factors.own().values())
        self._ratios, self._late = Borders(factors.debt_ratio), Borders(factors.payment_history)
        self._uses_family = factors.family_situation is not None
        self._scores: dict[tuple[Cell, ...], Score] = {}
        # The usual policies read the same few facts: written out by hand, that takes a third of the time.
        self._is_usual = factors.debt_ratio is not None and factors.payment_history is not None and not factors.own()

    @property
    def weights(self) -> Mapping[str, int]:
        """The weight of each factor that the policy uses, in its order."""
        return {table.name: table.weight for table in self._tables}

    def score(self, facts: Sequence[Any]) -> Score:
        """Score facts in the order of ``Facts``. Raises ScoringError for a value without points.

        Numbers must be in range: a Profile or a decoded message has checked them.
        """
        if not self._is_usual:
            return self._score_any(facts)
        debt, income, late_payments, employment, contract, industry, family, _ = facts
        try:
            # Exactly debt / income <= border, as in Borders.
            ratio = (
                bisect_left(self._ratios.scaled, -(-debt * self._ratios.scale // income)) if income > 0 else NO_INCOME
            )
            late = bisect_left(self._late.scaled, late_payments)
        except TypeError:  # one of them is absent, which the other way names
            return self._score_any(facts)
        cells = (ratio, late, employment, contract, industry, family if self._uses_family else None)
        return self._scores.get(cells) or self._score_cells(cells, _USUAL)

    def _score_any(self, facts: Sequence[Any]) -> Score:
        attributes = values_of(facts[ATTRIBUTES_AT]) if self._reads_attributes else NO_VALUES
        cells = tuple([read(facts, attributes) for read in self._readers])
        return self._scores.get(cells) or self._score_cells(cells, self._names)

    def problems(self, facts: Sequence[Any]) -> list[ScoringError]:
        """Return what keeps each factor from scoring these facts: all of it, where `score` raises the first."""
        found: dict[str, ScoringError] = {}
        attributes = values_of(facts[ATTRIBUTES_AT])
        for read, table in zip(self._readers, self._tables, strict=True):
            try:
                table.points_for(read(facts, attributes))
            except ScoringError as error:
                found.setdefault(error.field, error)
        return list(found.values())

    def reasons(self, codes: Iterable[str]) -> list[Reason]:
        """Return the full reasons of these codes, in their order. Raises ScoringError for another policy's code."""
        try:
            return [self._reasons[code] for code in codes]
        except KeyError as error:
            raise ScoringError("reasons", f"{error.args[0]} is no reason code of this policy") from None

    def _score_cells(self, cells: tuple[Cell, ...], names: Sequence[str]) -> Score:
        by_factor = dict(zip(names, cells, strict=True))
        points = tuple(table.points_for(by_factor[table.name]) for table in self._tables)
        total = sum(table.weight * given for table, given in zip(self._tables, points, strict=True))
        found = [table.reasons.get(by_factor[table.name]) for table in self._tables]
        reasons = sorted((reason for reason in found if reason), key=lambda reason: -reason.contribution)
        score = Score(total, self.policy.level_of(total), points, tuple(reason.code for reason in reasons))
        if len(self._scores) >= _MAX_CACHED:
            self._scores.clear()
        self._scores[cells] = score
        return score


@lru_cache(maxsize=64)
def scorer_for(policy: Policy) -> Scorer:
    """Return the scorer of a policy, made once per content."""
    return Scorer(policy)
