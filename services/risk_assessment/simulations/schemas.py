"""What goes over the wire about simulations."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator
from pydantic_core import PydanticCustomError

from recovery_core.money import Threshold
from recovery_core.policies.builtin import built_in_policy
from recovery_core.whole_number import WHOLE
from risk_assessment.fields import Capacities, PolicyName, PolicyRefOut, PortfolioName
from risk_assessment.runs.schemas import DEFAULT_THRESHOLD
from risk_assessment.runs.tables import Unit
from risk_assessment.simulations.tables import SimulationState

MAX_TOP_K = 100_000
MAX_NAME_CHARS = 64


def _name_or_document(given: object) -> object:
    if isinstance(given, dict) or (isinstance(given, str) and 0 < len(given) <= MAX_NAME_CHARS):
        return given
    raise PydanticCustomError("policy", "must be the name or the hash of a policy, or a policy document")


GivenPolicy = Annotated[
    Any,
    PlainValidator(_name_or_document, json_schema_input_type=PolicyName | dict[str, Any]),
    Field(description="The proposed policy: its name, its hash (a draft too), or the document itself"),
]


class SimulationIn(BaseModel):
    """What to try on today's book. Both policies get the same options."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"portfolio": "default", "policy": "classic", "top_k": 500},
                {"policy": built_in_policy("standard").document | {"version": 2}, "threshold": "750000.00"},
            ]
        },
    )

    portfolio: PortfolioName = "default"
    policy: GivenPolicy
    threshold: Threshold = DEFAULT_THRESHOLD
    top_k: Annotated[int, Field(strict=True, ge=1, le=MAX_TOP_K), WHOLE] = 1_000
    unit: Unit = Unit.PERSON
    capacities: Capacities | None = None


class Sides(BaseModel):
    """The same counts under both policies."""

    today: dict[str, int]
    proposed: dict[str, int]


class LevelExposure(BaseModel):
    """How many debtors have a level, and what they owe."""

    debtors: int
    debt: str


class Exposure(BaseModel):
    """The exposure by level under both policies."""

    today: dict[str, LevelExposure]
    proposed: dict[str, LevelExposure]


class TopK(BaseModel):
    """Who enters and who leaves the first k."""

    k: int
    entered: int
    left: int
    stayed: int
    debt_entered: str
    debt_left: str


class Mover(BaseModel):
    """A debtor of either top k whose rank changes; null where a policy does not rank it."""

    debtor_id: int
    rank_today: int | None
    rank_proposed: int | None


class ListedSimulationOut(BaseModel):
    """A simulation and how far it is, without what it found."""

    id: str
    state: Annotated[str, Field(json_schema_extra={"enum": [state.value for state in SimulationState]})]
    portfolio: str
    threshold: str
    unit: Unit
    capacities: dict[str, int] | None
    proposed: PolicyRefOut
    debtors_total: Annotated[int | None, Field(description="How many debtors the portfolio has")]
    debtors_read: Annotated[int, Field(description="How many of them have been judged")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    error: str | None


class SimulationPage(BaseModel):
    """A page of simulations."""

    items: list[ListedSimulationOut]
    next_cursor: str | None


class SimulationOut(ListedSimulationOut):
    """A simulation and how far it is; what it found is null until it is completed."""

    as_of: Annotated[datetime | None, Field(description="The moment whose book and holds it is about")]
    today: PolicyRefOut | None
    debtors: Annotated[int | None, Field(description="How many both policies could rank")]
    levels: Annotated[dict[str, dict[str, int]] | None, Field(description="Of these: from a level to a level")]
    lanes: Sides | None
    actions: Sides | None
    excluded: Sides | None
    exposure: Exposure | None
    top_k: TopK | None
    movers: list[Mover] | None
