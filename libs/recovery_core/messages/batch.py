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

from recovery_core.messages.json_text import NotJsonError, parse_json, repeated_names
from recovery_core.messages.shapes import (
    BATCH_ENVELOPE,
    BATCH_MESSAGE,
    BATCH_SCHEMA,
    DEBTOR_ENTRY,
    MAX_DEBTOR_ID,
    BatchEnvelope,
    DebtorEntry,
)
from recovery_core.messages.wire import UnreadableMessage, as_bytes, digest_of, first_problem, sized
from recovery_core.money import format_money, parse_priority
from recovery_core.policies.builtin import built_in_versions
from recovery_core.policies.document import Policy, PolicyError, canonical_json, load_policy
from recovery_core.profile import PaymentStatus

_UNPAID = PaymentStatus.UNPAID.value


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


@dataclass(frozen=True, slots=True)
class ItemError:
    """A debtor that cannot be processed: its index in the message, and its id where that is readable."""

    position: int
    debtor_id: int | None
    field: str
    message: str


@dataclass(frozen=True, slots=True)
class ReceivedBatch:
    """A batch as received; every item has its position in the message. ``digest`` names that message."""

    header: BatchHeader
    items: list[DebtorEntry | ItemError]
    digest: str


def batch_id_of(run_id: str, sequence: int) -> str:
    """Return the id of a batch, the same however often the batch is built."""
    return f"{run_id}-{sequence:07d}"


def encode_batch(header: BatchHeader, debtors: Iterable[str]) -> bytes:
    """Write a batch as JSON, its debtors as encode_debtor wrote them. The same header and debtors give the same bytes.

    Raises MessageTooLarge.
    """
    policy = {"name": header.policy.name, "version": header.policy.version, "hash": header.policy.hash}
    if header.policy.document is not None:
        policy["document"] = dict(header.policy.document)
    envelope = {
        "schema": BATCH_SCHEMA,
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
    begun = orjson.dumps(envelope, option=orjson.OPT_UTC_Z)[:-1]
    return sized(b'%b,"debtors":[%b]}' % (begun, ",".join(debtors).encode()))


def encode_debtor(debtor_id: int, priority: int, total_score: int, facts: Sequence[Any], payment_status: str) -> str:
    """Write one debtor of a batch as JSON, amounts given in minor units, facts in the order of ``Facts``.

    It leaves out what decode_batch fills in by itself, no family situation and UNPAID. That saves about 50 of 290
    bytes, so that a thousand ordinary debtors fit into one message.
    """
    debt, income, late_payments, employment, contract, industry, family = facts
    return (
        f'{{"debtor_id":{debtor_id},"priority":"{format_money(priority)}","total_score":{total_score},'
        f'"total_debt_amount":"{format_money(debt)}","monthly_income":"{format_money(income)}",'
        f'"late_payments_count":{late_payments},' + _categories(employment, contract, industry, family, payment_status)
    )


@lru_cache(maxsize=4_096)
def _categories(employment: str, contract: str, industry: str, family: str | None, payment_status: str) -> str:
    """Return the end of a debtor's entry. A portfolio has few different ones."""
    fields = {"employment_status": employment, "contract_type": contract, "industry_sector": industry}
    if family is not None:
        fields["family_situation"] = family
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
        envelope = _read_envelope(data)
        envelope["debtors"] = _read_items(envelope["debtors"])
    return ReceivedBatch(_header(envelope), [_complete(item) for item in envelope["debtors"]], digest_of(data))


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
    try:
        message = BATCH_MESSAGE.validate_json(data)
        # Repeated names, unknown fields and blanks would each make the message longer than what was read of it.
        is_shortest = len(orjson.dumps(message)) == len(data)
    except (ValidationError, TypeError):
        return None
    ids = {entry["debtor_id"] for entry in message["debtors"]}
    return message if is_shortest and len(ids) == len(message["debtors"]) else None


def _read_envelope(data: bytes) -> Any:
    try:
        value = parse_json(data)
        envelope = BATCH_ENVELOPE.validate_python(value)
    except NotJsonError as error:
        raise UnreadableMessage(str(error)) from None
    except ValidationError as error:
        raise UnreadableMessage(": ".join(first_problem(error))) from None
    if repeated_names(value) or repeated_names(value["policy"]):
        raise UnreadableMessage("a field is given twice")
    return envelope


def _read_items(values: Sequence[Any]) -> list[DebtorEntry | ItemError]:
    seen: set[int] = set()
    return [_read_item(position, value, seen) for position, value in enumerate(values)]


def _read_item(position: int, value: Any, seen: set[int]) -> DebtorEntry | ItemError:
    debtor_id = _readable_id(value)
    if debtor_id in seen:
        # Without an id: the debtor has its one decision or error by its first entry.
        return ItemError(position, None, "debtor_id", f"debtor {debtor_id} is in this batch already")
    if debtor_id is not None:
        seen.add(debtor_id)
    if repeated := repeated_names(value) & set(DebtorEntry.__annotations__):
        return ItemError(position, debtor_id, min(repeated), "is given twice")
    try:
        return DEBTOR_ENTRY.validate_python(value)
    except ValidationError as error:
        field, message = first_problem(error)
        return ItemError(position, debtor_id, field, message)


def _readable_id(value: Any) -> int | None:
    debtor_id = value.get("debtor_id") if isinstance(value, dict) else None
    return debtor_id if type(debtor_id) is int and 1 <= debtor_id <= MAX_DEBTOR_ID else None


def _complete(item: DebtorEntry | ItemError) -> DebtorEntry | ItemError:
    if not isinstance(item, ItemError):
        item.setdefault("family_situation", None)
        item.setdefault("payment_status", _UNPAID)
    return item


def _header(envelope: BatchEnvelope) -> BatchHeader:
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
