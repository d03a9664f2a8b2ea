"""What goes over the wire about portfolios: their settings, and which policy was active when."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    model_validator,
)
from pydantic_core import PydanticCustomError

from recovery_core.policies.linting.findings import FindingCode, Jurisdiction
from risk_assessment.fields import ATTRIBUTE_NAME_PATTERN, PolicyRefOut, PortfolioName, ReasonText

# ISO 4217, those with two decimals: amounts have exactly these two places.
_CODES = """
AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP
CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR
JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN
NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP
SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
"""
CURRENCIES = _CODES.split()
MAX_ATTRIBUTES = 100
MAX_VALUES = 1_000
TYPES = ("integer", "money", "boolean", "category", "date")

_READ_ONLY = {"name", "active_policy", "debtors", "created_at", "updated_at"}


def _known_currency(code: str) -> str:
    if code not in CURRENCIES:
        raise PydanticCustomError("currency", "must be an ISO 4217 code of a currency with two decimals, such as 'EUR'")
    return code


def _without_repeats(values: list[str]) -> list[str]:
    if len(set(values)) < len(values):
        raise PydanticCustomError("repeats", "names a value twice")
    return values


def _known_type(given: Any) -> Any:
    if given not in TYPES:
        raise PydanticCustomError("attribute_type", "must be 'integer', 'money', 'boolean', 'category' or 'date'")
    return given


Currency = Annotated[
    str, AfterValidator(_known_currency), Field(json_schema_extra={"enum": CURRENCIES}, examples=["EUR"])
]
TimeZone = Annotated[str, Field(min_length=1, max_length=64, description="IANA name", examples=["Europe/Paris"])]
AttributeName = Annotated[str, StringConstraints(max_length=64, pattern=ATTRIBUTE_NAME_PATTERN)]
Values = Annotated[
    list[Annotated[str, Field(min_length=1, max_length=64)]],
    Field(min_length=1, max_length=MAX_VALUES, json_schema_extra={"uniqueItems": True}),
    AfterValidator(_without_repeats),
]
Required = Annotated[bool, Field(strict=True, description="Whether every debtor has a value")]


class PlainAttribute(BaseModel):
    """A fact of a debtor that is a number, an amount, true or false, or a date."""

    model_config = ConfigDict(extra="forbid")

    type: Annotated[Literal["integer", "money", "boolean", "date"], BeforeValidator(_known_type)]
    required: Required = False


class CategoryAttribute(BaseModel):
    """A fact of a debtor that is one of some values."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["category"]
    values: Values
    required: Required = False


def _kind_of(given: Any) -> str:
    kind = given.get("type") if isinstance(given, dict) else getattr(given, "type", None)
    return "[category]" if kind == "category" else "[plain]"


# Names in brackets do not become part of a field's name in a problem.
Attribute = Annotated[
    Annotated[PlainAttribute, Tag("[plain]")] | Annotated[CategoryAttribute, Tag("[category]")],
    Discriminator(_kind_of),
]
Attributes = Annotated[dict[AttributeName, Attribute], Field(max_length=MAX_ATTRIBUTES)]


class PortfolioIn(BaseModel):
    """The settings of a portfolio. A field left out takes its default. What only the service sets is ignored."""

    model_config = ConfigDict(
        extra="forbid",
        use_enum_values=True,
        json_schema_extra={
            "examples": [
                {
                    "currency": "EUR",
                    "time_zone": "Europe/Paris",
                    "jurisdiction": "EU",
                    "attributes": {
                        "days_past_due": {"type": "integer", "required": True},
                        "home": {"type": "category", "values": ["OWNER", "RENT"]},
                    },
                }
            ]
        },
    )

    currency: Currency | None = None
    time_zone: TimeZone = "UTC"
    jurisdiction: Jurisdiction = Field(Jurisdiction.NONE, validate_default=True)
    attributes: Attributes = Field(default_factory=dict)

    @model_validator(mode="before")
    @classmethod
    def _ignore_read_only(cls, body: Any) -> Any:
        if isinstance(body, dict) and not _READ_ONLY.isdisjoint(body):
            return {field: value for field, value in body.items() if field not in _READ_ONLY}
        return body


class PortfolioOut(BaseModel):
    """A portfolio, its settings, its active policy and how many debtors it has."""

    name: str
    currency: str | None
    time_zone: str
    jurisdiction: Jurisdiction
    attributes: dict[str, PlainAttribute | CategoryAttribute]
    active_policy: PolicyRefOut
    debtors: int
    created_at: datetime
    updated_at: datetime


class PortfolioPage(BaseModel):
    """A page of portfolios, by name."""

    items: list[PortfolioOut]
    next_cursor: str | None


class ActivationIn(BaseModel):
    """Which portfolio a policy shall score from now on, and why; and the linter's errors that are accepted, by code."""

    model_config = ConfigDict(
        extra="forbid",
        use_enum_values=True,
        json_schema_extra={"examples": [{"portfolio": "default", "reason": "Approved in the meeting of 3 March"}]},
    )

    portfolio: PortfolioName
    reason: ReasonText
    accept_findings: Annotated[list[FindingCode], Field(max_length=50)] = Field(default_factory=list)


class ActivationOut(BaseModel):
    """Which policy became active, when, who activated it, and why."""

    policy: PolicyRefOut
    activated_at: datetime
    activated_by: str
    reason: str
    accepted_findings: list[str]


class ActivationPage(BaseModel):
    """A page of activations, newest first."""

    items: list[ActivationOut]
    next_cursor: str | None
