"""The debtors of a batch message, read one by one: a bad one is an ItemError, and the rest can be processed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NotRequired

from pydantic import ValidationError

from recovery_core.attributes import Value
from recovery_core.messages.json_text import repeated_names
from recovery_core.messages.shapes import MAX_DEBTOR_ID, DebtorEntry, Shape
from recovery_core.messages.wire import first_problem
from recovery_core.profile import PaymentStatus

_UNPAID = PaymentStatus.UNPAID.value


class Entry(DebtorEntry):
    """A debtor as it is read, of either version. One of version 2 may lack facts that its policy does not need."""

    version: NotRequired[int]
    blocked: NotRequired[list[str]]
    blocked_by: NotRequired[str]
    attributes: NotRequired[dict[str, Value]]


@dataclass(frozen=True, slots=True)
class ItemError:
    """A debtor that cannot be processed: its index in the message, and its id where that is readable."""

    position: int
    debtor_id: int | None
    field: str
    message: str


def read_items(shape: Shape, values: Sequence[Any]) -> list[Entry | ItemError]:
    """Return each debtor, or what is wrong with it, in its position."""
    seen: set[int] = set()
    return [_read_item(shape, position, value, seen) for position, value in enumerate(values)]


def _read_item(shape: Shape, position: int, value: Any, seen: set[int]) -> Entry | ItemError:
    debtor_id = _readable_id(value)
    if debtor_id in seen:
        # Without an id: the debtor has its one decision or error by its first entry.
        return ItemError(position, None, "debtor_id", f"debtor {debtor_id} is in this batch already")
    if debtor_id is not None:
        seen.add(debtor_id)
    if repeated := repeated_names(value) & shape.entry_fields:
        return ItemError(position, debtor_id, min(repeated), "is given twice")
    try:
        entry: Entry = shape.entry.validate_python(value)
    except ValidationError as error:
        field, message = first_problem(error)
        return ItemError(position, debtor_id, field, message)
    return entry


def _readable_id(value: Any) -> int | None:
    debtor_id = value.get("debtor_id") if isinstance(value, dict) else None
    return debtor_id if type(debtor_id) is int and 1 <= debtor_id <= MAX_DEBTOR_ID else None


def complete(position: int, item: Entry | ItemError) -> Entry | ItemError:
    """Fill in what an entry may leave out. What is blocked comes with the kind of its hold, or is an error."""
    if isinstance(item, ItemError):
        return item
    if ("blocked" in item) != ("blocked_by" in item):
        return ItemError(position, item["debtor_id"], "blocked_by", "belongs to blocked, and blocked to it")
    item.setdefault("family_situation", None)
    item.setdefault("payment_status", _UNPAID)
    return item
