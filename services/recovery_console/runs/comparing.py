"""A run against an earlier one: who is new, gone or moved, in numbers and one by one."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_client.run_shapes import Change, Comparison, Run
from recovery_console import words
from recovery_console.runs.planning import LeftOut, left_out


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison as the page shows it; `levels` has a row for each earlier level, a column for each later one."""

    found: Comparison
    gone: Sequence[LeftOut]
    levels: Sequence[tuple[str, Sequence[int]]]
    items: Sequence[tuple[Change, str]]

    @property
    def gone_total(self) -> int:
        """How many debtors are gone."""
        return sum(one.count for one in self.gone)


def others_of(run: Run, completed: Sequence[Run]) -> list[Run]:
    """Return the runs that began before a run, the last one first: those that it can be compared with."""
    return [other for other in completed if other["id"] != run["id"] and other["created_at"] <= run["created_at"]]


def compared(found: Comparison) -> Compared:
    """Return a comparison for its page."""
    levels = [
        (words.plain(before), [found["levels"].get(before, {}).get(after, 0) for after in words.LEVELS])
        for before in words.LEVELS
    ]
    items = [(item, words.reason(item["reason"]) if item["reason"] else "") for item in found["items"]]
    return Compared(found, left_out(found["gone"]), levels, items)
