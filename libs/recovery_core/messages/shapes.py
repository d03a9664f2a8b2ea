"""The shapes of batch messages as they travel, in both versions, and the JSON Schemas made of them.

Version 2 adds which stops the consumer must know, what holds block, and attributes. Unknown fields are ignored, so that
older readers accept newer senders; known fields must be valid.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, get_type_hints

from pydantic import ConfigDict, Field, GetPydanticSchema, TypeAdapter, with_config
from pydantic_core import core_schema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from recovery_core.attributes import ATTRIBUTE_NAME, MAX_ATTRIBUTES, MAX_INTEGER, MAX_VALUE_CHARS
from recovery_core.holds import HoldKind
from recovery_core.messages.wire import MAX_BATCH_SIZE
from recovery_core.money import MONEY_PATTERN, POSITIVE_MONEY_PATTERN, PRIORITY_PATTERN
from recovery_core.policies.parts import MAX_TOTAL, Action, Lane
from recovery_core.profile import (
    MAX_LATE_PAYMENTS,
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    PaymentStatus,
)

BATCH_SCHEMA_V1 = "smartrecover.debt-batch.v1"
BATCH_SCHEMA_V2 = "smartrecover.debt-batch.v2"
MAX_DEBTOR_ID = 2**63 - 1


def _one_of(kind: type[StrEnum]) -> GetPydanticSchema:
    # Plain strings, not enum members: they hash several times faster, and scoring looks them up by the million.
    return GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema([str(member) for member in kind]))


_STRICT = ConfigDict(strict=True, extra="ignore")
_Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
_PLAIN_NAME = r"^[A-Za-z0-9._:-]+$"
_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]+$"

AttributeName = Annotated[str, Field(pattern=f"^{ATTRIBUTE_NAME}$")]
AttributeValue = (
    bool
    | Annotated[int, Field(ge=-MAX_INTEGER, le=MAX_INTEGER)]
    | Annotated[str, Field(min_length=1, max_length=MAX_VALUE_CHARS)]
)

DebtorId = Annotated[int, Field(ge=1, le=MAX_DEBTOR_ID)]
PriorityText = Annotated[str, Field(pattern=PRIORITY_PATTERN)]


@with_config(_STRICT)
class DebtorEntry(TypedDict):
    """One debtor in a batch: the ranking and the scoring inputs, no identity. Money is decimal text."""

    debtor_id: DebtorId
    priority: PriorityText
    total_score: Annotated[int, Field(ge=0, le=MAX_TOTAL)]
    total_debt_amount: Annotated[str, Field(pattern=POSITIVE_MONEY_PATTERN)]
    monthly_income: Annotated[str, Field(pattern=MONEY_PATTERN)]
    late_payments_count: Annotated[int, Field(ge=0, le=MAX_LATE_PAYMENTS)]
    employment_status: Annotated[str, _one_of(EmploymentStatus)]
    contract_type: Annotated[str, _one_of(ContractType)]
    industry_sector: Annotated[str, _one_of(IndustrySector)]
    family_situation: NotRequired[Annotated[str, _one_of(FamilySituation)] | None]
    payment_status: NotRequired[Annotated[str, _one_of(PaymentStatus)]]


@with_config(_STRICT)
class DebtorEntryV2(DebtorEntry):
    """One debtor in a batch: also the version that was ranked, and which actions holds blocked then.

    It may lack facts that its policy does not need, and has the attributes that its policy looks at.
    """

    version: Annotated[int, Field(ge=1, le=MAX_DEBTOR_ID)]
    blocked: NotRequired[Annotated[list[Annotated[str, _one_of(Action)]], Field(min_length=1, max_length=len(Action))]]
    blocked_by: NotRequired[Annotated[str, _one_of(HoldKind)]]
    monthly_income: NotRequired[Annotated[str, Field(pattern=MONEY_PATTERN)]]  # type: ignore[misc]  # may be absent
    late_payments_count: NotRequired[Annotated[int, Field(ge=0, le=MAX_LATE_PAYMENTS)]]  # type: ignore[misc]
    employment_status: NotRequired[Annotated[str, _one_of(EmploymentStatus)]]  # type: ignore[misc]
    contract_type: NotRequired[Annotated[str, _one_of(ContractType)]]  # type: ignore[misc]
    industry_sector: NotRequired[Annotated[str, _one_of(IndustrySector)]]  # type: ignore[misc]
    attributes: NotRequired[Annotated[dict[AttributeName, AttributeValue], Field(max_length=MAX_ATTRIBUTES)]]


@with_config(_STRICT)
class PolicyEnvelope(TypedDict):
    """The policy of a batch, with its document unless the policy is built in."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN_NAME)]
    version: _Count
    hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    document: NotRequired[dict[str, Any] | None]


@with_config(_STRICT)
class BatchEnvelope(TypedDict):
    """All of a batch besides its debtors, which are only counted here."""

    schema: Literal["smartrecover.debt-batch.v1"]
    batch_id: Annotated[str, Field(min_length=1, max_length=100, pattern=_PLAIN_NAME)]
    run_id: Annotated[str, Field(min_length=1, max_length=64, pattern=_PLAIN_NAME)]
    sequence: _Count
    lane: Annotated[str, _one_of(Lane)]
    portfolio: Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_CONTROL_CHARACTERS)]
    policy: PolicyEnvelope
    as_of: Annotated[str, Field(max_length=40, json_schema_extra={"format": "date-time"})]
    threshold: PriorityText
    batches_total: _Count
    debtors_total: _Count
    debtors: Annotated[list[Any], Field(min_length=1, max_length=MAX_BATCH_SIZE)]


@with_config(_STRICT)
class BatchMessage(BatchEnvelope):
    """A batch of debtors, in the order in which they are to be processed."""

    debtors: Annotated[list[DebtorEntry], Field(min_length=1, max_length=MAX_BATCH_SIZE)]


@with_config(_STRICT)
class BatchEnvelopeV2(BatchEnvelope):
    """All of a batch besides its debtors, with the last stop that was known when the run was planned."""

    schema: Literal["smartrecover.debt-batch.v2"]  # type: ignore[misc]  # of the same type, and another value
    stops_before: Annotated[int, Field(ge=0, le=2**63 - 1)]


@with_config(_STRICT)
class BatchMessageV2(BatchEnvelopeV2):
    """A batch of debtors, in the order in which they are to be processed, and which stops must be known first."""

    debtors: Annotated[list[DebtorEntryV2], Field(min_length=1, max_length=MAX_BATCH_SIZE)]


class Shape(NamedTuple):
    """The validators of one version: of a whole message, of its envelope, and of one debtor."""

    message: TypeAdapter[Any]
    envelope: TypeAdapter[Any]
    entry: TypeAdapter[Any]
    entry_fields: frozenset[str]


def _shape(message: Any, envelope: Any, entry: Any) -> Shape:
    return Shape(TypeAdapter(message), TypeAdapter(envelope), TypeAdapter(entry), frozenset(get_type_hints(entry)))


SHAPES = {
    BATCH_SCHEMA_V1: _shape(BatchMessage, BatchEnvelope, DebtorEntry),
    BATCH_SCHEMA_V2: _shape(BatchMessageV2, BatchEnvelopeV2, DebtorEntryV2),
}
"""By the name of their schema."""


def batch_json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema of a batch message of this version, as it is committed beside this module."""
    urn = "urn:" + name.replace(".v", ":v").replace(".", ":")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": urn} | SHAPES[name].message.json_schema()
