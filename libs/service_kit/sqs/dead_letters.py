"""Copies of messages for a dead-letter queue, with attributes that say why they lie there.

Whatever arrives can be buried. A copy has as many attributes as SQS takes. A message that the server refuses is left to
its queue, which moves it after its last receive. A copy lacks attributes that are no text.
"""

import re
from collections.abc import Mapping
from typing import Protocol

from service_kit.message_keys import MAC_ATTRIBUTES
from service_kit.observability.tracing import TRACEPARENT
from service_kit.sqs.messages import MAX_ATTRIBUTES, MAX_MESSAGE_BYTES, MessageRefused, Outgoing, Received

MAX_REASON_CHARS = 500
_OURS = (*MAC_ATTRIBUTES, TRACEPARENT)
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
_NAME = re.compile(r"(?!(?i:aws|amazon)\.)(?!\.)(?!.*\.\.)[A-Za-z0-9_.-]{1,256}(?<!\.)")
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
_TEXT = re.compile("[\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]+")


class CannotBeDeadLettered(Exception):  # noqa: N818 - named by its consequence
    """No server takes the message again, with whatever attributes; only the queue itself can move it."""


class TakesOne(Protocol):
    """What a copy is offered to: `service_kit.sqs.client.Sqs`."""

    async def offer(self, queue: str, message: Outgoing) -> bool:
        """Send one message; return False when it was refused for now. Raises MessageRefused."""


async def dead_letter(sqs: TakesOne, queue: str, message: Received, about: Mapping[str, str]) -> bool:
    """Put a copy into the queue that says why; return False when it was refused for now.

    Attributes that this system did not set are the first to go, where SQS does not take all. Raises
    CannotBeDeadLettered when it takes none.
    """
    for attributes in _choices(message, about):
        copy = Outgoing(message.message_id, message.body, attributes)
        if len(attributes) <= MAX_ATTRIBUTES and copy.size <= MAX_MESSAGE_BYTES:
            try:
                return await sqs.offer(queue, copy)
            except MessageRefused:
                continue  # what SQS says against it differs from server to server: perhaps it takes less
    raise CannotBeDeadLettered(message.message_id)


def printable(reason: str) -> str:
    """Return a reason as a message attribute can carry it: short, on one line, never empty."""
    text = "".join(char if char.isprintable() else " " for char in reason[:MAX_REASON_CHARS])
    return text.strip() or "no reason was given"


def _choices(message: Received, about: Mapping[str, str]) -> list[dict[str, str]]:
    theirs = {name: value for name, value in message.attributes.items() if _is_sendable(name, value)}
    ours = {name: value for name, value in theirs.items() if name in _OURS}
    choices: list[dict[str, str]] = []
    for choice in ({**theirs, **about}, {**ours, **about}, {**about}, {}):
        if choice not in choices:
            choices.append(choice)
    return choices


def _is_sendable(name: str, value: str) -> bool:
    return _NAME.fullmatch(name) is not None and _TEXT.fullmatch(value) is not None
