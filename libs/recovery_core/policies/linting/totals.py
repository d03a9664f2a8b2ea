"""All total scores that combinations of cells can give: which there are, and how many combinations give each.

A factor is given as the contributions of its cells (weight × points), one for each cell, equal ones repeated.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from recovery_core.policies.factors import Factor

Contributions = Sequence[int]
"""What each cell of a factor adds to the total score."""

Totals = Mapping[int, int]
"""How many combinations of cells give each total."""

NOTHING: Totals = {0: 1}


def contributions_of(factor: Factor) -> Contributions:
    """Return what each cell of a factor adds to the total score."""
    return [factor.weight * points for points in factor.all_points().values()]


def reachable_totals(factors: Sequence[Contributions]) -> int:
    """Return the totals that some combination gives, as the bits of an integer. Exact, and fast for any policy."""
    found = 1
    for factor in factors:
        before, found = found, 0
        for contribution in set(factor):
            found |= before << contribution
    return found


def totals_without_each(factors: Sequence[Contributions], outside: Totals = NOTHING) -> Iterator[Totals]:
    """Yield for each factor the totals of all the others, each half of the factors added once for the other half."""
    if len(factors) == 1:
        yield outside
        return
    middle = len(factors) // 2
    yield from totals_without_each(factors[:middle], add_factors(outside, factors[middle:]))
    yield from totals_without_each(factors[middle:], add_factors(outside, factors[:middle]))


def add_factors(totals: Totals, factors: Sequence[Contributions]) -> Totals:
    """Return the totals of all combinations with the cells of more factors."""
    for factor in factors:
        totals = _add_factor(totals, Counter(factor))
    return totals


def count_steps(factors: Sequence[Contributions]) -> int:
    """Return an upper bound of the additions that counting the totals without each factor takes."""
    distinct = [len(set(factor)) for factor in factors]
    sizes = min(prod(distinct), sum(map(max, factors)) + 1)
    return sizes * sum(distinct) * len(factors).bit_length()


def _add_factor(totals: Totals, cells: Mapping[int, int]) -> Totals:
    added: dict[int, int] = {}
    for total, combinations in totals.items():
        for contribution, count in cells.items():
            added[total + contribution] = added.get(total + contribution, 0) + combinations * count
    return added
