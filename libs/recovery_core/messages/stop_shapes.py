"""The shapes of stops and of their acknowledgement as they travel, and the JSON Schemas made of them.

Unknown fields are ignored, so that older readers accept newer senders; known fields must be valid.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict  # pydantic needs this one before Python 3.12

from recovery_core.holds import HoldKind
from recovery_core.messages.shapes import DebtorId
from recovery_core.money import MONEY_PATTERN
from recovery_core.policies.parts import Action
from recovery_core.profile import PaymentStatus

STOPS_SCHEMA = "smartrecover.stops.v1"
STOPS_KNOWN_SCHEMA = "smartrecover.stops-known.v1"
MAX_STOPS = 500
"""How many stops one message carries at most."""

_STRICT = ConfigDict(strict=True, extra="ignore")
_NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f]+$"

_Place = Annotated[int, Field(ge=0, le=2**63 - 1)]
_Number = Annotated[int, Field(ge=1, le=2**63 - 1)]


@with_config(_STRICT)
class HoldEntry(TypedDict):
    """One hold. An early end is already in `until`; without one it is open."""

    number: _Number
    kind: HoldKind
    blocks: Literal["all"] | Annotated[list[Action], Field(min_length=1)]
    starts_at: Annotated[AwareDatetime, Field(alias="from")]
    ends_at: Annotated[AwareDatetime | None, Field(alias="until")]


@with_config(_STRICT)
class DeletedEntry(TypedDict):
    """A debtor that is no more."""

    debtor_id: DebtorId
    sequence: _Number
    deleted: Literal[True]


@with_config(_STRICT)
class ExistingEntry(TypedDict):
    """The state of a debtor that exists. Money is decimal text."""

    debtor_id: DebtorId
    sequence: _Number
    deleted: Literal[False]
    portfolio: Annotated[str, Field(min_length=1, max_length=64, pattern=_NO_CONTROL_CHARACTERS)]
    payment_status: PaymentStatus
    total_debt_amount: Annotated[str, Field(pattern=MONEY_PATTERN)]
    holds: list[HoldEntry]


@with_config(_STRICT)
class StopsMessage(TypedDict):
    """A stretch of the feed. A heartbeat has no stops and ends where it begins."""

    schema: Literal["smartrecover.stops.v1"]
    after: _Place
    through: _Place
    as_of: AwareDatetime | None
    stops: Annotated[
        list[Annotated[DeletedEntry | ExistingEntry, Field(discriminator="deleted")]], Field(max_length=MAX_STOPS)
    ]


@with_config(_STRICT)
class StopsKnownMessage(TypedDict):
    """An acknowledgement; it travels in the queue of results."""

    schema: Literal["smartrecover.stops-known.v1"]
    consumer: Annotated[str, Field(pattern=r"^[0-9a-f-]{36}$")]
    through: _Place
    at: AwareDatetime


HOLDS = TypeAdapter(list[HoldEntry])
STOPS_MESSAGE = TypeAdapter(StopsMessage)
STOPS_KNOWN_MESSAGE = TypeAdapter(StopsKnownMessage)


def stops_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a stretch of the feed, as it is committed beside this module."""
    return _dialect("stops") | STOPS_MESSAGE.json_schema()


def stops_known_json_schema() -> dict[str, Any]:
    """Return the JSON Schema of an acknowledgement, as it is committed beside this module."""
    return _dialect("stops-known") | STOPS_KNOWN_MESSAGE.json_schema()


def _dialect(name: str) -> dict[str, str]:
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:smartrecover:{name}:v1"}
