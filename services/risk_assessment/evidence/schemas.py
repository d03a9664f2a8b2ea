"""What goes over the wire about the evidence of a run."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from recovery_core.policies.parts import Lane, RiskLevel
from recovery_core.ranking.exclusions import Exclusion
from risk_assessment.fields import PolicyRefOut
from risk_assessment.runs.tables import Unit

CellValue = Annotated[
    Any, Field(description="A category, `{above, up_to}` of a band, `no_income`, `zero_denominator` or `missing`")
]


class ExplainedFactorOut(BaseModel):
    """What a factor saw of the debtor, and its share of the total score."""

    value: Annotated[Any, Field(description="The fact; of a ratio decimal text with 2 places, null without income")]
    points: int
    weight: int
    contribution: int


class AdjacentOut(BaseModel):
    """The debtor right before or after in the whole order, across lanes."""

    debtor_id: int
    priority: str
    difference: Annotated[str, Field(description="Between the two priorities, never negative")]


class MoveOut(BaseModel):
    """What another cell of one factor would give, everything else as it was."""

    factor: str
    value: CellValue
    total_score: int
    risk_level: RiskLevel
    priority: str
    rank: Annotated[int, Field(description="Where that priority would stand among the run's other ranked debtors")]


class ExplanationOut(BaseModel):
    """Why a run put a debtor where it did, or left it out."""

    run_id: str
    debtor_id: int
    outcome: Annotated[str, Field(json_schema_extra={"enum": ["ranked", "excluded"]})]
    reason: Annotated[Exclusion | None, Field(description="Why the debtor was left out")]
    hold_id: Annotated[str | None, Field(description="The hold that names the reason `HOLD_…`")]
    lead_debtor_id: Annotated[int | None, Field(description="The debtor of the same person that leads, for `COVERED`")]
    rank: int | None
    of: Annotated[int, Field(description="How many debtors the run ranked")]
    lane: Lane | None
    batch_sequence: Annotated[int | None, Field(description="From 1, all of the high lane before the standard lane")]
    position: Annotated[int | None, Field(description="In the batch, from 0")]
    priority: Annotated[str | None, Field(description="Null where the policy cannot score the debtor")]
    total_score: int | None
    risk_level: RiskLevel | None
    total_debt_amount: str
    policy: PolicyRefOut
    as_of: datetime
    factors: dict[str, ExplainedFactorOut]
    above: AdjacentOut | None
    below: AdjacentOut | None
    debt_to_pass_above: Annotated[
        str | None, Field(description="The smallest debt that would put the debtor before the one above; null if none")
    ]
    moves: Annotated[list[MoveOut], Field(description="One for each other cell of each factor, the debt unchanged")]


class ManifestOptionsOut(BaseModel):
    """What the run was asked for."""

    batch_size: int
    threshold: str
    limit: int | None
    filters: dict[str, Any] | None


class ManifestLaneOut(BaseModel):
    """How many debtors a lane has, and the hash of their order."""

    debtors: int
    order_hash: Annotated[str, Field(description="SHA-256 over (debtor id, priority) in order")]


class ManifestOut(BaseModel):
    """What a run was made of, and the hashes by which others can check it."""

    run_id: str
    as_of: datetime
    code_version: Annotated[str | None, Field(description="The version that planned the run; null up to 1.2")]
    policy: PolicyRefOut
    objective: Any
    unit: Unit
    options: ManifestOptionsOut
    capacities: dict[str, int] | None
    snapshot_hash: Annotated[str | None, Field(description="Of what the run looked at; null up to version 1.2")]
    manifest_hash: str
    lanes: dict[Lane, ManifestLaneOut]
    excluded: dict[str, int]
