"""The shapes of batch messages as they travel, and the JSON Schema made of them.

Unknown fields are ignored, so that older readers accept newer senders; known fields must be valid.
"""

from enum import StrEnum
from typing import Annotated, Any, Literal, NotRequired

from pydantic import ConfigDict, Field, GetPydanticSchema, TypeAdapter, with_config
from pydantic_core import core_schema
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from recovery_core.messages.wire import MAX_BATCH_SIZE
from recovery_core.money import MONEY_PATTERN, POSITIVE_MONEY_PATTERN, PRIORITY_PATTERN
from recovery_core.policies.parts import MAX_TOTAL, Lane
from recovery_core.profile import (
    MAX_LATE_PAYMENTS,
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    PaymentStatus,
)

BATCH_SCHEMA = "smartrecover.debt-batch.v1"
MAX_DEBTOR_ID = 2**63 - 1


def _one_of(kind: type[StrEnum]) -> GetPydanticSchema:
    # Plain strings, not enum members: they hash several times faster, and scoring looks them up by the million.
    return GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema([str(member) for member in kind]))


_STRICT = ConfigDict(strict=True, extra="ignore")
_Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
_PLAIN_NAME = r"^[A-Za-z0-9._:-]+$"
_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]+$"

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


DEBTOR_ENTRY = TypeAdapter(DebtorEntry)
BATCH_ENVELOPE = TypeAdapter(BatchEnvelope)
BATCH_MESSAGE = TypeAdapter(BatchMessage)


def batch_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a batch message, as it is committed beside this module."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:smartrecover:debt-batch:v1"}
    return dialect | BATCH_MESSAGE.json_schema()
