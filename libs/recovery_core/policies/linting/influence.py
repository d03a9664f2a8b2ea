"""How much each factor alone can change: exact over all combinations of the other factors' cells.

A policy whose totals are too many to count is counted on a coarser grid: each contribution is rounded down to a
multiple of a step, which gives bounds that the exact share lies between.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from recovery_core.policies.document import Policy
from recovery_core.policies.linting.findings import Influence
from recovery_core.policies.linting.totals import (
    Contributions,
    Totals,
    contributions_of,
    count_steps,
    totals_without_each,
)

MAX_STEPS = 4_000_000
"""The most additions spent on one policy, about a second; beyond it the shares are bounds."""


class _Share(NamedTuple):
    least: Fraction
    most: Fraction


def influence_of(policy: Policy, max_steps: int = MAX_STEPS) -> dict[str, Influence]:
    """Return the influence of each factor that a policy uses, in its order."""
    factors = {name: contributions_of(factor) for name, factor in policy.factors.used().items()}
    shares = _flip_shares(policy, list(factors.values()), max_steps)
    lowest = sum(map(min, factors.values()))
    return {
        name: _influence(contributions, share, lowest)
        for (name, contributions), share in zip(factors.items(), shares, strict=True)
    }


def is_bounded(influence: Mapping[str, Influence]) -> bool:
    """Return whether the shares are bounds, for a policy too large to count exactly."""
    return any(part.level_flip_share_at_least is not None for part in influence.values())


def _influence(contributions: Contributions, share: _Share, lowest_total: int) -> Influence:
    span = max(contributions) - min(contributions)
    # The rise is the same everywhere, so its percentage is largest over the lowest total that there is.
    percent = -(-100 * span // lowest_total) if lowest_total else None
    exact = share.least == share.most
    return Influence(
        points_span=span,
        level_flip_share=_as_text(share.most),
        level_flip_share_at_least=None if exact else _as_text(share.least),
        priority_percent=percent,
    )


def _flip_shares(policy: Policy, factors: Sequence[Contributions], max_steps: int) -> list[_Share]:
    step = 1
    while count_steps(_on_grid(factors, step)) > max_steps and step <= policy.max_score:
        step *= 2
    # The others together are less than this above their total on the grid.
    slack = (len(factors) - 1) * (step - 1)
    return [
        _flip_share(policy, factor, others, step, slack)
        for factor, others in zip(factors, totals_without_each(_on_grid(factors, step)), strict=True)
    ]


def _on_grid(factors: Sequence[Contributions], step: int) -> list[Contributions]:
    return [[contribution // step for contribution in factor] for factor in factors]


def _flip_share(policy: Policy, factor: Contributions, others: Totals, step: int, slack: int) -> _Share:
    """Return the bounds of the share; they are equal where the totals of the others are exact."""
    least, most = min(factor), max(factor)
    ranks = {str(band.level): rank for rank, band in enumerate(policy.levels)}
    combinations = sum(others.values())
    surely = possibly = 0
    for total, count in others.items():
        low, high = total * step, min(total * step + slack, policy.max_score - most)
        if ranks[policy.level_of(high + least)] < ranks[policy.level_of(low + most)]:
            surely += count
        if policy.level_of(low + least) != policy.level_of(high + most):
            possibly += count
    return _Share(Fraction(surely, combinations), Fraction(possibly, combinations))


def _as_text(share: Fraction) -> str:
    return f"{share.numerator}/{share.denominator}"
