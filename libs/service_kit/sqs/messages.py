"""SQS messages as this system sends and receives them, packed into requests within the limits of SQS.

A message that no SQS server would accept is rejected before anything is sent.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
MAX_ATTRIBUTES = 10  # of one message
MAX_BATCH_ENTRIES = 10  # SendMessageBatch, DeleteMessageBatch, ChangeMessageVisibilityBatch, ReceiveMessage
# AWS accepts messages and requests of 1 MiB since August 2025. A single message stays below the older limit, because
# many emulators and tools still stop there.
# https://aws.amazon.com/about-aws/whats-new/2025/08/amazon-sqs-max-payload-size-1mib/
MAX_MESSAGE_BYTES = 262_144
# Attributes may exceed that by so much: version 1.0 planned bodies that leave no room for a MAC.
ATTRIBUTE_BYTES = 1_024
# All messages of a SendMessageBatch together: three quarters of what AWS accepts, because aiohttp warns of bodies over
# 1 MiB, and JSON within JSON grows by a fifth.
MAX_REQUEST_BYTES = 786_432


class MessageTooLarge(ValueError):  # noqa: N818
    """A message is over MAX_MESSAGE_BYTES."""


class MessageRefused(Exception):  # noqa: N818
    """The server refuses a message for what it is: sent again as it is, it would be refused again."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to send. Its `id` is for the sender alone and does not travel."""

    id: str
    body: str
    attributes: dict[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes that count against the limit: the body, and each attribute's name, type and value."""
        extra = sum(len(name.encode()) + len("String") + len(value.encode()) for name, value in self.attributes.items())
        return len(self.body.encode()) + extra


@dataclass(frozen=True, slots=True)
class Received:
    """A message as one delivery; `receive_count` starts at 1. Attributes that are no text (`Binary`) are left out."""

    message_id: str
    receipt_handle: str
    body: str
    attributes: dict[str, str]
    receive_count: int
    sent_at: datetime


def pack(messages: Iterable[Outgoing], request_bytes: int = MAX_REQUEST_BYTES) -> list[list[Outgoing]]:
    """Cut messages, in order, into as few requests as count and bytes allow. Raises MessageTooLarge."""
    packs: list[list[Outgoing]] = []
    room = 0
    for message in messages:
        size = message.size
        if len(message.body.encode()) > MAX_MESSAGE_BYTES or size > MAX_MESSAGE_BYTES + ATTRIBUTE_BYTES:
            raise MessageTooLarge(f"message {message.id} has {size} bytes, over the limit of {MAX_MESSAGE_BYTES}")
        if not packs or size > room or len(packs[-1]) == MAX_BATCH_ENTRIES:
            packs.append([])
            room = request_bytes
        packs[-1].append(message)
        room -= size
    return packs
