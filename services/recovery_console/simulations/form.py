"""What a person asks of a simulation: texts as they were typed, and what they mean to the API."""

from collections.abc import Mapping
from typing import Any

import orjson

from recovery_console import words
from recovery_console.formatting import Reader, whole

CAPACITY = "capacity_"
_TEXTS = ("portfolio", "unit")


class UnclearFormError(ValueError):
    """The form does not say which policy is meant; the text is for the person."""


def body_of(given: Mapping[str, str], reader: Reader) -> dict[str, Any]:
    """Return the body that starts a simulation, without what is empty. Raises UnclearFormError."""
    body: dict[str, Any] = {name: given[name] for name in _TEXTS if name in given} | {"policy": _policy(given)}
    if "threshold" in given:
        body["threshold"] = reader.plain_number(given["threshold"])
    if "top_k" in given:
        body["top_k"] = whole(reader.plain_number(given["top_k"]))
    return body | ({"capacities": room} if (room := _capacities(given, reader)) else {})


def has_capacities(given: Mapping[str, str]) -> bool:
    """Return whether a capacity is set."""
    return any(f"{CAPACITY}{action}" in given for action in words.ACTIONS)


def _policy(given: Mapping[str, str]) -> Any:
    """Return a name, a hash or a whole document."""
    name, document = given.get("policy"), given.get("document")
    if (name is None) == (document is None):
        raise UnclearFormError("Name a policy, or paste a document: one of the two.")
    if document is None:
        return name
    try:
        found = orjson.loads(document)
    except orjson.JSONDecodeError as error:
        raise UnclearFormError(f"The document is no JSON: {error}.") from None
    if not isinstance(found, dict):
        raise UnclearFormError("The document is no JSON object.")
    return found


def _capacities(given: Mapping[str, str], reader: Reader) -> dict[str, int | str]:
    typed = {action: given.get(f"{CAPACITY}{action}") for action in words.ACTIONS}
    return {action: whole(reader.plain_number(text)) for action, text in typed.items() if text}
