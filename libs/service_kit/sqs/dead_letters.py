"""Copies of messages for a dead-letter queue, with attributes that say why they lie there."""

from collections.abc import Mapping

from service_kit.message_keys import MAC_ATTRIBUTES
from service_kit.observability.tracing import TRACEPARENT
from service_kit.sqs.messages import MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, Outgoing, Received

MAX_REASON_CHARS = 500
_OURS = (*MAC_ATTRIBUTES, TRACEPARENT)


class CannotBeDeadLettered(Exception):  # noqa: N818 - named by its consequence
    """The message is too large to be sent again; only the queue itself can move it."""


def dead_letter_copy(message: Received, about: Mapping[str, str]) -> Outgoing:
    """Return a copy that says why: with all attributes, or as many as SQS lets it carry.

    The first to go are those that this system did not set. Raises CannotBeDeadLettered when no request can carry it.
    """
    ours = {name: value for name, value in message.attributes.items() if name in _OURS}
    for attributes in ({**message.attributes, **about}, {**ours, **about}, {**about}, {}):
        copy = Outgoing(message.message_id, message.body, attributes)
        if len(attributes) <= MAX_ATTRIBUTES and copy.size <= MAX_MESSAGE_BYTES:
            return copy
    raise CannotBeDeadLettered(message.message_id)


def printable(reason: str) -> str:
    """Return a reason as a message attribute can carry it: short, on one line, never empty."""
    text = "".join(char if char.isprintable() else " " for char in reason[:MAX_REASON_CHARS])
    return text.strip() or "no reason was given"
