"""What the address of the first page asks for: which debtors, and from which place in the order."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from recovery_console.formatting import Reader
from recovery_console.words import LEVELS, STATUSES

TOPS = (1, 5, 10, 25, 50)
MAX_TEXT_CHARS = 250
MAX_SCORE = 1_000_000  # of any policy


@dataclass(frozen=True, slots=True)
class Filters:
    """Which debtors the table shows; None means all of them."""

    search: str | None = None
    level: str | None = None
    status: str | None = None
    min_debt: str | None = None
    max_debt: str | None = None
    min_score: int | None = None
    max_score: int | None = None
    top: int | None = None
    from_priority: str | None = None
    cursor: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether the table shows every debtor, one after the other."""
        return not self.options()

    def options(self) -> dict[str, Any]:
        """Return the filters as the risk service names them, without those that are not set."""
        wanted = {
            "q": self.search,
            "risk_level": self.level,
            "payment_status": self.status,
            "min_debt": self.min_debt,
            "max_debt": self.max_debt,
            "min_score": self.min_score,
            "max_score": self.max_score,
        }
        return {name: value for name, value in wanted.items() if value is not None}

    def parameters(self, **changes: Any) -> Mapping[str, object]:
        """Return the parameters of the address of this table, with these changes."""
        changed = replace(self, **changes)
        return {
            "q": changed.search,
            "level": changed.level,
            "status": changed.status,
            "min_debt": changed.min_debt,
            "max_debt": changed.max_debt,
            "min_score": changed.min_score,
            "max_score": changed.max_score,
            "top": changed.top,
            "from": changed.from_priority,
            "cursor": changed.cursor,
        }


def from_query(query: Mapping[str, str], reader: Reader) -> Filters:
    """Return the filters in an address. What it cannot mean is left out."""
    level, status, top = query.get("level"), query.get("status"), query.get("top", "")
    min_score, max_score = _scores(query, reader)
    return Filters(
        search=(query.get("q") or "").strip()[:MAX_TEXT_CHARS] or None,
        level=level if level in LEVELS else None,
        status=status if status in STATUSES else None,
        min_debt=reader.plain_number(query.get("min_debt", "")) or None,
        max_debt=reader.plain_number(query.get("max_debt", "")) or None,
        min_score=min_score,
        max_score=max_score,
        top=int(top) if top.isdecimal() and int(top) in TOPS else None,
        from_priority=query.get("from") or None,
        cursor=query.get("cursor") or None,
    )


def _scores(query: Mapping[str, str], reader: Reader) -> tuple[int | None, int | None]:
    """Return the ends of the range of scores: those between the two, whichever of them is given first."""
    least, most = (_score(reader.plain_number(query.get(name, ""))) for name in ("min_score", "max_score"))
    if least is not None and most is not None:
        return min(least, most), max(least, most)
    return least, most


def _score(text: str) -> int | None:
    """Return a score. One above all scores that there can be means the highest of them."""
    return min(int(text), MAX_SCORE) if text.isascii() and text.isdecimal() and len(text) <= MAX_TEXT_CHARS else None
