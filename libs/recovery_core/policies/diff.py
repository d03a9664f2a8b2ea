"""What differs between two policies, place by place."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from recovery_core.policies.document import Policy, PolicyRef
from recovery_core.policies.parts import PolicyPart


class Change(PolicyPart):
    """A place, dotted as in the document, and what stands there on either side; null where it is absent."""

    place: str
    left: Any
    right: Any


class PolicyDiff(PolicyPart):
    """All places in which two policies differ."""

    left: PolicyRef
    right: PolicyRef
    changes: tuple[Change, ...]


def diff_policies(left: Policy, right: Policy) -> PolicyDiff:
    """Return what differs between two policies, in the order of the document."""
    changes = tuple(_changes("", left.document, right.document))
    return PolicyDiff(left=left.ref, right=right.ref, changes=changes)


def _changes(place: str, left: Any, right: Any) -> Iterator[Change]:
    for name, mine, other in _parts(left, right):
        yield from _changes(f"{place}.{name}" if place else name, mine, other)
    if not _have_parts(left, right) and left != right:
        yield Change(place=place, left=left, right=right)


def _parts(left: Any, right: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield the parts of both sides: by name of objects, by position of lists of objects."""
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        yield from ((name, left.get(name), right.get(name)) for name in {**left, **right})
    elif _have_parts(left, right):
        pairs = zip_longest(left, right)
        yield from ((str(index), mine, other) for index, (mine, other) in enumerate(pairs))


def _have_parts(left: Any, right: Any) -> bool:
    return (isinstance(left, Mapping) and isinstance(right, Mapping)) or (_is_table(left) and _is_table(right))


def _is_table(value: Any) -> bool:
    """Return whether a value is a list of objects; a list of names, such as levels of a row, is one value."""
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(v, Mapping) for v in value)
