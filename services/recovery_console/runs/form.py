"""What a person asks of a new run: texts as they were typed, and what they mean to the API."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from recovery_console import words
from recovery_console.formatting import Reader, whole

DEFAULTS = {"batch_size": "100", "threshold": "500000", "unit": "person"}
_TEXTS = ("portfolio", "policy", "unit")
LEVEL, STATUS, CAPACITY = "level_", "status_", "capacity_"


@dataclass(frozen=True, slots=True)
class RunForm:
    """The fields of the form: `typed` as texts, by the names of the fields."""

    typed: Mapping[str, str]
    reader: Reader = field(default_factory=Reader)

    @classmethod
    def of(cls, given: Mapping[str, str], portfolio: str | None, reader: Reader) -> "RunForm":
        """Return the form with what was given, the defaults where nothing was."""
        texts = {name: value.strip() for name, value in given.items() if value.strip()}
        return cls(DEFAULTS | ({"portfolio": portfolio} if portfolio else {}) | texts, reader)

    def __getitem__(self, name: str) -> str:
        return self.typed.get(name, "")

    @property
    def batch_size(self) -> int | None:
        """How many debtors a batch has; None where that is no number between 1 and 1,000."""
        text = self.reader.plain_number(self["batch_size"])
        return int(text) if text.isdecimal() and 1 <= int(text) <= 1_000 else None

    @property
    def has_filters(self) -> bool:
        """Whether a filter is set."""
        return bool(self._filters())

    @property
    def has_capacities(self) -> bool:
        """Whether a capacity is set."""
        return bool(self._capacities())

    def preview_options(self) -> dict[str, Any]:
        """Return the options of a preview."""
        filters = self._filters()
        capacities = [f"{action}:{room}" for action, room in self._capacities().items()]
        return {**self._options(), **filters, "capacity": capacities or None}

    def body(self) -> dict[str, Any]:
        """Return the body that starts the run."""
        options = self._options() | {"batch_size": whole(self.reader.plain_number(self["batch_size"]))}
        return options | {"filters": self._filters() or None, "capacities": self._capacities() or None}

    def _options(self) -> dict[str, Any]:
        texts = {name: self[name] for name in _TEXTS if self[name]}
        limit = self.reader.plain_number(self["limit"])
        numbers = {"threshold": self.reader.plain_number(self["threshold"])}
        return texts | numbers | ({"limit": whole(limit)} if limit else {})

    def _filters(self) -> dict[str, Any]:
        chosen = {
            "risk_level": [level for level in words.LEVELS if self[LEVEL + level]],
            "payment_status": [status for status in words.STATUSES if self[STATUS + status]],
        }
        debts = {name: self.reader.plain_number(self[name]) for name in ("min_debt", "max_debt") if self[name]}
        return {name: values for name, values in chosen.items() if values} | debts

    def _capacities(self) -> dict[str, Any]:
        typed = {action: self.reader.plain_number(self[CAPACITY + action]) for action in words.ACTIONS}
        return {action: whole(text) for action, text in typed.items() if text}
