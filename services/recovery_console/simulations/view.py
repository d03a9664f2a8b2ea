"""What a simulation's report shows: who changes level, what a run would do on either side, and who moves most."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recovery_client.shapes import Exposure, Simulation
from recovery_console.formatting import Reader
from recovery_console.words import LEVELS, plain, reason

OVER = ("completed", "failed", "cancelled")


@dataclass(frozen=True, slots=True)
class Matrix:
    """Debtors by their level today (rows) and under the proposed policy (columns), with sums."""

    levels: tuple[str, ...]
    rows: tuple[tuple[str, tuple[int, ...], int], ...]
    sums: tuple[int, ...]
    moved: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One count on both sides."""

    name: str
    today: int
    proposed: int

    @property
    def change(self) -> int:
        """How much it would grow; negative where it would shrink."""
        return self.proposed - self.today


@dataclass(frozen=True, slots=True)
class ExposurePair:
    """Debtors and debt of a level on both sides."""

    level: str
    today: Exposure
    proposed: Exposure


@dataclass(frozen=True, slots=True)
class Mover:
    """A debtor whose rank changes; None where it is not ranked on that side."""

    debtor_id: int
    today: int | None
    proposed: int | None

    def change(self, reader: Reader) -> str:
        """Return the change in words."""
        if self.today is None:
            return "ranked only under the proposed policy"
        if self.proposed is None:
            return "no longer ranked"
        places = abs(self.today - self.proposed)
        return f"{reader.number(places)} {'up' if self.proposed < self.today else 'down'}"


def matrix(levels: Mapping[str, Mapping[str, int]]) -> Matrix:
    """Return the matrix of all levels that occur, the most urgent first."""
    seen = {*levels, *(name for row in levels.values() for name in row)}
    names = (*(level for level in LEVELS if level in seen), *sorted(seen - set(LEVELS)))
    counts = {name: tuple(levels.get(name, {}).get(other, 0) for other in names) for name in names}
    rows = tuple((name, row, sum(row)) for name, row in counts.items())
    sums = tuple(sum(column) for column in zip(*counts.values(), strict=True))
    moved = sum(row[place] for at, (_, row, _) in enumerate(rows) for place in range(len(names)) if place != at)
    return Matrix(names, rows, sums, moved)


def pairs(sides: Mapping[str, Mapping[str, int]], *, reasons: bool = False) -> list[Pair]:
    """Return the counts of both sides by name, in words."""
    today, proposed = sides.get("today", {}), sides.get("proposed", {})
    names = dict.fromkeys((*today, *proposed))
    words = reason if reasons else plain
    return [Pair(words(name), today.get(name, 0), proposed.get(name, 0)) for name in names]


def exposures(sides: Mapping[str, Mapping[str, Exposure]]) -> list[ExposurePair]:
    """Return debtors and debt by level on both sides."""
    nothing: Exposure = {"debtors": 0, "debt": "0.00"}
    today, proposed = sides.get("today", {}), sides.get("proposed", {})
    names = [level for level in LEVELS if level in today or level in proposed]
    return [ExposurePair(name, today.get(name, nothing), proposed.get(name, nothing)) for name in names]


def movers(found: Sequence[Mapping[str, Any]]) -> list[Mover]:
    """Return the debtors whose rank changes most, in the order of the report."""
    return [Mover(one["debtor_id"], one["rank_today"], one["rank_proposed"]) for one in found]


def is_over(simulation: Simulation) -> bool:
    """Return whether the simulation will not change any more."""
    return simulation["state"] in OVER
