"""The feed of stops as messages: stretches out, acknowledgements in."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from recovery_core.messages.stop_shapes import MAX_STOPS
from recovery_core.messages.stops import Stops, StopsKnown, decode_stops_known, encode_stops, is_stops_known
from recovery_core.messages.wire import MAX_BODY_BYTES, MessageTooLarge, UnreadableMessage
from service_kit.message_keys import MessageKeys
from service_kit.sqs.messages import Received


def bodies_of(stretch: Stops) -> Iterator[tuple[Stops, bytes]]:
    """Cut a stretch into parts that fit a message, and yield each with its body. Only the last has `as_of`."""
    body = _fitting(stretch)
    if body is not None:
        yield stretch, body
        return
    middle = min(MAX_STOPS, len(stretch.stops) // 2)
    border = stretch.stops[middle - 1].sequence
    yield from bodies_of(Stops(stretch.after, border, None, stretch.stops[:middle]))
    yield from bodies_of(Stops(border, stretch.through, stretch.as_of, stretch.stops[middle:]))


def _fitting(stretch: Stops) -> bytes | None:
    """Return the body, or None when fewer stops would fit. One always does."""
    if len(stretch.stops) > MAX_STOPS:
        return None
    try:
        body = encode_stops(stretch)
    except MessageTooLarge:
        return None
    return body if len(body) <= MAX_BODY_BYTES else None


def acknowledgements_in(
    messages: Sequence[Received], keys: MessageKeys, now: datetime
) -> tuple[list[StopsKnown], list[Received]]:
    """Return what is acknowledged, and the messages that are something else or are not to be believed."""
    known: list[StopsKnown] = []
    others: list[Received] = []
    for message in messages:
        found = _acknowledgement(message, keys, now)
        if found is None:
            others.append(message)
        else:
            known.append(found)
    return known, others


def _acknowledgement(message: Received, keys: MessageKeys, now: datetime) -> StopsKnown | None:
    if not is_stops_known(message.body) or keys.refusal(message.body, message.attributes, now):
        return None
    try:
        return decode_stops_known(message.body)
    except UnreadableMessage:
        return None
