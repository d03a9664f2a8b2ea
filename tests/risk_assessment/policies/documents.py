"""Policy documents that differ from the built-in ones, so that a test shows only what matters."""

from copy import deepcopy
from typing import Any

from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy, load_policy


def a_document(name: str, version: int = 1, like: str = "standard", **changes: Any) -> dict[str, Any]:
    """A document like a built-in one under a name of its own."""
    document = deepcopy(dict(built_in_policy(like).document))
    return document | {"name": name, "version": version, "description": "A policy of a test"} | changes


def a_policy(name: str, version: int = 1, like: str = "standard", **changes: Any) -> Policy:
    return load_policy(a_document(name, version, like, **changes))


def harsher(document: dict[str, Any]) -> dict[str, Any]:
    """The document with a threefold weight of late payments, so that scores and order change."""
    document = deepcopy(document)
    document["factors"]["payment_history"]["weight"] *= 3
    return document
