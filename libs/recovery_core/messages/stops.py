"""Stops: what the risk service says, in order and without names, of debtors that may no longer be processed as sent.

A stop is the whole state of one debtor as far as it forbids work, not a change of it. So the stop with the highest
sequence counts, and repeats and a wrong order do no harm.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from pydantic import ValidationError

from recovery_core.holds import ALL_ACTIONS, HoldSpan, actions_of, mask_of
from recovery_core.messages.stop_shapes import (
    HOLDS,
    STOPS_KNOWN_MESSAGE,
    STOPS_KNOWN_SCHEMA,
    STOPS_MESSAGE,
    STOPS_SCHEMA,
)
from recovery_core.messages.wire import UnreadableMessage, as_bytes, first_problem, sized
from recovery_core.money import format_money, parse_money


@dataclass(frozen=True, slots=True)
class DebtorStop:
    """What is known of a debtor. Only the id and the sequence of a deleted one."""

    debtor_id: int
    sequence: int
    deleted: bool
    portfolio: str | None = None
    payment_status: str | None = None
    total_debt_amount: int | None = None
    """In minor units."""
    holds: tuple[HoldSpan, ...] = ()
    """Every hold that is not over, of the debtor and of its person; those that begin later too."""


@dataclass(frozen=True, slots=True)
class Stops:
    """A stretch of the feed: every stop after ``after`` up to and including ``through`` that was the newest of its
    debtor. ``as_of`` is there where the feed had no more: all stretches up to here together say everything that was
    acknowledged before that moment.
    """

    after: int
    through: int
    as_of: datetime | None
    stops: tuple[DebtorStop, ...] = ()


@dataclass(frozen=True, slots=True)
class StopsKnown:
    """What the debt service acknowledges: up to where it has every stretch. ``consumer`` names its database."""

    consumer: str
    through: int
    at: datetime


def encode_stops(stretch: Stops) -> bytes:
    """Write a stretch of the feed as a message. Raises MessageTooLarge."""
    message = {
        "schema": STOPS_SCHEMA,
        "after": stretch.after,
        "through": stretch.through,
        "as_of": stretch.as_of,
        "stops": [_entry(stop) for stop in stretch.stops],
    }
    return sized(orjson.dumps(message, option=orjson.OPT_UTC_Z))


def decode_stops(body: str | bytes) -> Stops:
    """Read a stretch of the feed. Raises UnreadableMessage."""
    try:
        message = STOPS_MESSAGE.validate_json(as_bytes(body))
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
    stretch = Stops(message["after"], message["through"], message["as_of"], tuple(map(_stop, message["stops"])))
    _check(stretch)
    return stretch


def encode_stops_known(known: StopsKnown) -> bytes:
    """Write an acknowledgement as a message."""
    message = {"schema": STOPS_KNOWN_SCHEMA, "consumer": known.consumer, "through": known.through, "at": known.at}
    return orjson.dumps(message, option=orjson.OPT_UTC_Z)


def is_stops_known(body: str) -> bool:
    """Return whether a message says that it is an acknowledgement of stops, readable or not."""
    try:
        message = orjson.loads(body)
    except (orjson.JSONDecodeError, RecursionError):
        return False
    return isinstance(message, dict) and message.get("schema") == STOPS_KNOWN_SCHEMA


def decode_stops_known(body: str | bytes) -> StopsKnown:
    """Read an acknowledgement. Raises UnreadableMessage."""
    try:
        message = STOPS_KNOWN_MESSAGE.validate_json(as_bytes(body))
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
    return StopsKnown(message["consumer"], message["through"], message["at"])


def holds_to_json(holds: Iterable[HoldSpan]) -> str:
    """Write holds as they travel, to be stored beside their debtor."""
    return orjson.dumps(list(map(_hold_entry, holds)), option=orjson.OPT_UTC_Z).decode()


def holds_from_json(text: str) -> tuple[HoldSpan, ...]:
    """Return the holds that `holds_to_json` wrote."""
    return tuple(map(_hold, HOLDS.validate_json(text)))


def _entry(stop: DebtorStop) -> dict[str, Any]:
    if stop.deleted:
        return {"debtor_id": stop.debtor_id, "sequence": stop.sequence, "deleted": True}
    return {
        "debtor_id": stop.debtor_id,
        "sequence": stop.sequence,
        "deleted": False,
        "portfolio": stop.portfolio,
        "payment_status": stop.payment_status,
        "total_debt_amount": format_money(stop.total_debt_amount or 0),
        "holds": list(map(_hold_entry, stop.holds)),
    }


def _hold_entry(span: HoldSpan) -> dict[str, Any]:
    return {
        "number": span.number,
        "kind": span.kind,
        "blocks": "all" if span.blocked == ALL_ACTIONS else actions_of(span.blocked),
        "from": span.starts_at,
        "until": span.ends_at,
    }


def _stop(entry: Mapping[str, Any]) -> DebtorStop:
    if entry["deleted"]:
        return DebtorStop(entry["debtor_id"], entry["sequence"], deleted=True)
    return DebtorStop(
        entry["debtor_id"],
        entry["sequence"],
        deleted=False,
        portfolio=entry["portfolio"],
        payment_status=str(entry["payment_status"]),
        total_debt_amount=parse_money(entry["total_debt_amount"]),
        holds=tuple(map(_hold, entry["holds"])),
    )


def _hold(entry: Mapping[str, Any]) -> HoldSpan:
    blocks, ends_at = entry["blocks"], entry["ends_at"]
    mask = ALL_ACTIONS if blocks == "all" else mask_of(blocks)
    starts_at = entry["starts_at"].astimezone(UTC)
    return HoldSpan(entry["number"], str(entry["kind"]), mask, starts_at, ends_at and ends_at.astimezone(UTC))


def _check(stretch: Stops) -> None:
    """Raise UnreadableMessage for a stretch that ends before it begins, or stops that are outside it or repeated."""
    if stretch.through < stretch.after:
        raise UnreadableMessage("through: is before after")
    if any(not stretch.after < stop.sequence <= stretch.through for stop in stretch.stops):
        raise UnreadableMessage("stops: a sequence is outside the stretch")
    if len({stop.debtor_id for stop in stretch.stops}) < len(stretch.stops):
        raise UnreadableMessage("stops: a debtor is repeated")
