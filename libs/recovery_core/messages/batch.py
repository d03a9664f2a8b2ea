"""Batch messages: debtors in the order in which they are to be processed, and all that a decision needs.

A message is read item by item: one bad debtor is one ItemError, and the rest can be processed. A message whose envelope
cannot be trusted is rejected as a whole. No names or other identity travel in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson
from pydantic import ValidationError

from recovery_core.holds import actions_of
from recovery_core.messages.entries import Entry, ItemError, complete, read_items
from recovery_core.messages.json_text import NotJsonError, parse_json, repeated_names
from recovery_core.messages.shapes import (
    BATCH_SCHEMA_V1,
    BATCH_SCHEMA_V2,
    SHAPES,
    Shape,
)
from recovery_core.messages.wire import UnreadableMessage, as_bytes, digest_of, first_problem, sized
from recovery_core.money import format_money, parse_priority
from recovery_core.policies.builtin import built_in_versions
from recovery_core.policies.document import Policy, PolicyError, canonical_json, load_policy
from recovery_core.profile import PaymentStatus

_UNPAID = PaymentStatus.UNPAID.value
_BEGIN_OF_V2 = b'{"schema":"%b"' % BATCH_SCHEMA_V2.encode()


@dataclass(frozen=True, slots=True)
class PolicyHeader:
    """The policy of a batch, with its document unless the policy is built in."""

    name: str
    version: int
    hash: str
    document: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """All of a batch besides its debtors. The threshold is in minor units; ``as_of`` has its time zone."""

    batch_id: str
    run_id: str
    sequence: int
    lane: str
    portfolio: str
    policy: PolicyHeader
    as_of: datetime
    threshold: int
    batches_total: int
    debtors_total: int
    stops_before: int | None = None
    """The last stop whose debtor was ranked as the stop says. None for a batch of version 1, which does not say it."""


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A batch as received; every item has its position in the message. ``digest`` names that message."""

    header: BatchHeader
    items: list[Entry | ItemError]
    digest: str


def batch_id_of(run_id: str, sequence: int) -> str:
    """Return the id of a batch, the same however often the batch is built."""
    return f"{run_id}-{sequence:07d}"


def encode_batch(header: BatchHeader, debtors: Iterable[str]) -> bytes:
    """Write a batch as JSON, its debtors as encode_debtor wrote them. The same header and debtors give the same bytes.

    It is of version 2 where the header has ``stops_before``. Raises MessageTooLarge.
    """
    policy = {"name": header.policy.name, "version": header.policy.version, "hash": header.policy.hash}
    if header.policy.document is not None:
        policy["document"] = dict(header.policy.document)
    envelope = {
        "schema": BATCH_SCHEMA_V1 if header.stops_before is None else BATCH_SCHEMA_V2,
        "batch_id": header.batch_id,
        "run_id": header.run_id,
        "sequence": header.sequence,
        "lane": header.lane,
        "portfolio": header.portfolio,
        "policy": policy,
        "as_of": header.as_of.astimezone(UTC),
        "threshold": format_money(header.threshold),
        "batches_total": header.batches_total,
        "debtors_total": header.debtors_total,
    }
    if header.stops_before is not None:
        envelope["stops_before"] = header.stops_before
    begun = orjson.dumps(envelope, option=orjson.OPT_UTC_Z)[:-1]
    return sized(b'%b,"debtors":[%b]}' % (begun, ",".join(debtors).encode()))


def encode_debtor(
    debtor_id: int,
    priority: int,
    total_score: int,
    facts: Sequence[Any],
    payment_status: str,
    version: int | None = None,
    blocked: int = 0,
    blocked_by: str | None = None,
) -> str:
    """Write one debtor of a batch as JSON, amounts given in minor units, facts in the order of ``Facts``.

    Attributes are given as JSON text, those that the policy looks at. It leaves out facts that are absent, and UNPAID,
    which decode_batch fills in by itself. That saves about 50 of 290 bytes, so that a thousand ordinary debtors fit
    into one message. A debtor of version 2 has a ``version``, and ``blocked``, the mask of what holds block, with the
    kind of the hold that names the reason.
    """
    debt, income, late_payments, employment, contract, industry, family, attributes = facts
    end = _categories(employment, contract, industry, family, payment_status)
    second = "" if version is None else f'"version":{version},'
    begun = (
        f'{{"debtor_id":{debtor_id},"priority":"{format_money(priority)}","total_score":{total_score},'
        f'"total_debt_amount":"{format_money(debt)}",{_numbers(income, late_payments)}'
        f"{second}{_blocked(blocked, blocked_by) if blocked else ''}"
    )
    if attributes:
        begun += f'"attributes":{attributes},'
    return begun + end if end != "}" else begun[:-1] + end


def _numbers(income: int | None, late_payments: int | None) -> str:
    if income is not None and late_payments is not None:
        return f'"monthly_income":"{format_money(income)}","late_payments_count":{late_payments},'
    return ("" if income is None else f'"monthly_income":"{format_money(income)}",') + (
        "" if late_payments is None else f'"late_payments_count":{late_payments},'
    )


@lru_cache(maxsize=4_096)
def _blocked(mask: int, kind: str | None) -> str:
    if kind is None:
        raise ValueError("blocked actions need the kind of hold that blocks them")
    return orjson.dumps({"blocked": actions_of(mask), "blocked_by": kind}).decode()[1:-1] + ","


@lru_cache(maxsize=4_096)
def _categories(
    employment: str | None, contract: str | None, industry: str | None, family: str | None, payment_status: str
) -> str:
    """Return the end of a debtor's entry. A portfolio has few different ones."""
    given = {
        "employment_status": employment,
        "contract_type": contract,
        "industry_sector": industry,
        "family_situation": family,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    if payment_status != _UNPAID:
        fields["payment_status"] = payment_status
    return orjson.dumps(fields).decode()[1:]


def decode_batch(body: str | bytes) -> ReceivedBatch:
    """Read a batch. A bad debtor becomes an ItemError in its position; a bad envelope raises UnreadableMessage.

    Every entry is complete: ``family_situation`` None and ``payment_status`` UNPAID where they were left out.
    """
    data = as_bytes(body)
    envelope = _read_as_written(data)
    if envelope is None:
        envelope = _read_carefully(data)
    items = [complete(position, item) for position, item in enumerate(envelope["debtors"])]
    return ReceivedBatch(_header(envelope), items, digest_of(data))


def resolve_policy(header: BatchHeader) -> Policy:
    """Return the policy of a batch, proven by its hash. Raises UnreadableMessage when there is none."""
    named = header.policy
    policy = built_in_versions().get(named.hash) if named.document is None else _policy_from(named.document)
    if policy is None:
        raise UnreadableMessage(
            f"policy: {named.name} {named.version} is not built in, and the message has no document"
        )
    if (policy.name, policy.version, policy.hash) != (named.name, named.version, named.hash):
        raise UnreadableMessage(f"policy: {named.name} {named.version} contradicts its hash or document")
    return policy


def _read_as_written(data: bytes) -> Any:
    """Read a message that is valid in all parts and in the shortest form, as ours are; None for any other."""
    shape = SHAPES[BATCH_SCHEMA_V2 if data.startswith(_BEGIN_OF_V2) else BATCH_SCHEMA_V1]
    try:
        message = shape.message.validate_json(data)
        # Repeated names, unknown fields and blanks would each make the message longer than what was read of it.
        is_shortest = len(orjson.dumps(message)) == len(data)
    except (ValidationError, TypeError):
        return None
    ids = {entry["debtor_id"] for entry in message["debtors"]}
    return message if is_shortest and len(ids) == len(message["debtors"]) else None


def _read_carefully(data: bytes) -> Any:
    try:
        value = parse_json(data)
        shape = _shape_of(value)
        envelope = shape.envelope.validate_python(value)
    except NotJsonError as error:
        raise UnreadableMessage(str(error)) from None
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
    if repeated_names(value) or repeated_names(value["policy"]):
        raise UnreadableMessage("a field is given twice")
    return envelope | {"debtors": read_items(shape, envelope["debtors"])}


def _shape_of(value: Any) -> Shape:
    """Return the shape that a message names; version 1, which then says what is wrong, where it names none."""
    name = value.get("schema") if isinstance(value, dict) else None
    if isinstance(name, str) and name not in SHAPES:
        raise UnreadableMessage(f"schema: must be one of {', '.join(SHAPES)}")
    return SHAPES[name if isinstance(name, str) else BATCH_SCHEMA_V1]


def _header(envelope: Any) -> BatchHeader:
    return BatchHeader(
        batch_id=envelope["batch_id"],
        run_id=envelope["run_id"],
        sequence=envelope["sequence"],
        lane=envelope["lane"],
        portfolio=envelope["portfolio"],
        policy=PolicyHeader(**envelope["policy"]),
        as_of=_moment(envelope["as_of"]),
        threshold=parse_priority(envelope["threshold"]),
        batches_total=envelope["batches_total"],
        debtors_total=envelope["debtors_total"],
        stops_before=envelope.get("stops_before"),
    )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UnreadableMessage("as_of: must be an ISO 8601 time with its offset")


def _policy_from(document: Mapping[str, Any]) -> Policy:
    try:
        return _load_once(canonical_json(document))
    except (TypeError, PolicyError) as error:
        raise UnreadableMessage(f"policy.document: {error}") from None


@lru_cache(maxsize=64)
def _load_once(canonical: bytes) -> Policy:
    return load_policy(canonical)
