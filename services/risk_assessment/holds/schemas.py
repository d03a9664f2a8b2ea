"""What goes over the wire about holds. A time is an instant with an offset, or a date, which means its whole day."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, WithJsonSchema
from pydantic_core import PydanticCustomError

from recovery_core.holds import HoldKind
from recovery_core.policies.parts import Action
from recovery_core.whole_number import WHOLE
from risk_assessment.fields import ExternalRef, Name, PersonRef, PortfolioName, ReasonText

MAX_EXACT_ID = 2**53 - 1  # the largest number that every reader of JSON keeps exactly
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?"
_INSTANT = re.compile(rf"{_DATE.pattern}[Tt ]{_CLOCK}(?P<offset>[Zz]|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?")
_A_DATE = {"type": "string", "format": "date"}
_AN_INSTANT = {"type": "string", "format": "date-time"}


def parse_instant(text: object) -> datetime:
    """Return the moment that a text names, which must have an offset. Raises ValueError with what is wrong."""
    found = _INSTANT.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ValueError("must be an instant such as 2026-03-01T09:30:00+01:00")
    if found["offset"] is None:
        raise ValueError("must have an offset, such as Z or +01:00")
    try:
        return datetime.fromisoformat(found[0].upper())
    except ValueError:
        raise ValueError("must be a day of the calendar") from None


def parse_time(text: object) -> date | datetime:
    """Return the instant or the date that a text names. Raises ValueError with what is wrong."""
    if not isinstance(text, str) or not (_DATE.fullmatch(text) or _INSTANT.fullmatch(text)):
        raise ValueError("must be a date such as 2026-03-01, or an instant such as 2026-03-01T09:30:00+01:00")
    if not _DATE.fullmatch(text):
        return parse_instant(text)
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day of the calendar") from None


def _parsed(value: object, parse: Any) -> Any:
    try:
        return parse(value)
    except ValueError as error:
        raise PydanticCustomError("time", "{problem}", {"problem": str(error)}) from None


Instant = Annotated[datetime, BeforeValidator(lambda value: _parsed(value, parse_instant)), WithJsonSchema(_AN_INSTANT)]
# Parsed already: pydantic would read numbers as times, and a date as a midnight without an offset.
Time = Annotated[
    Any, BeforeValidator(lambda value: _parsed(value, parse_time)), WithJsonSchema({"anyOf": [_A_DATE, _AN_INSTANT]})
]


def _is_list(value: object) -> str:
    return _LIST if isinstance(value, list) else _ALL


# With a bracket, so that problems name `blocks` alone.
_ALL, _LIST = "all[]", "actions[]"
Blocks = Annotated[
    Annotated[Literal["all"], Tag(_ALL)] | Annotated[list[Action], Field(min_length=1, max_length=50), Tag(_LIST)],
    Discriminator(_is_list),
]


class HoldIn(BaseModel):
    """A hold to place, on a debtor or on a person: `debtor_id`, or `portfolio` with `external_ref` or `person_ref`."""

    model_config = ConfigDict(
        extra="forbid",
        use_enum_values=True,
        json_schema_extra={
            "examples": [
                {
                    "portfolio": "default",
                    "person_ref": "P-17",
                    "kind": "DISPUTE",
                    "reason": "Letter of 1 March: the amount is contested",
                    "from": "2026-03-01",
                    "until": "2026-03-31",
                    "source": "crm",
                }
            ]
        },
    )

    debtor_id: Annotated[int, Field(strict=True, ge=1, le=MAX_EXACT_ID), WHOLE] | None = None
    portfolio: PortfolioName | None = None
    external_ref: ExternalRef | None = None
    person_ref: PersonRef | None = None
    kind: HoldKind
    reason: ReasonText
    starts: Annotated[Time | None, Field(alias="from", description="By default now")] = None
    until: Annotated[Time | None, Field(description="Open by default")] = None
    blocks: Annotated[
        Blocks | None, Field(description='By default "all"; for TIME_BARRED ["LEGAL_REVIEW"], which alone is barred')
    ] = None
    source: Name | None = None


class HoldEndIn(BaseModel):
    """Why a hold ends, and since when: by default now, at the earliest when it began."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "The debtor withdrew it"}]})

    reason: ReasonText
    at: Instant | None = None


class HoldOut(BaseModel):
    """A hold. `until` stays as it was placed; `active` says whether it is in force now."""

    model_config = ConfigDict(serialize_by_alias=True)

    id: str
    portfolio: str
    debtor_id: int | None
    person_ref: str | None
    kind: HoldKind
    blocks: Literal["all"] | list[Action]
    reason: str
    source: str | None
    starts_at: datetime = Field(alias="from")
    until: datetime | None
    recorded_at: datetime
    recorded_by: str
    ended_at: datetime | None
    end_reason: str | None
    ended_by: str | None
    active: bool


class HoldPage(BaseModel):
    """A page of holds, the last recorded first."""

    items: list[HoldOut]
    next_cursor: str | None
