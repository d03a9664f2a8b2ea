"""What goes over the wire about reports. Money, priorities and shares are decimal text."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.policies.parts import RiskLevel
from recovery_core.profile import PaymentStatus
from recovery_core.ranking.exclusions import Exclusion


class DebtOut(BaseModel):
    """How many debtors, and what they owe together."""

    debtors: int
    debt: str = Field(examples=["1204500.00"])


class ScoreRangeOut(DebtOut):
    """The debtors with a total score from a number to another, both included."""

    model_config = ConfigDict(serialize_by_alias=True)

    from_: int = Field(alias="from", examples=[80])
    to: int = Field(examples=[99])


class SummaryOut(DebtOut):
    """A portfolio at a glance. Debtors who have paid are counted too, but for `rankable`."""

    portfolio: str
    as_of: datetime
    currency: str | None
    by_level: dict[RiskLevel, DebtOut]
    by_payment_status: dict[PaymentStatus, DebtOut]
    on_hold: dict[str, DebtOut] = Field(
        description="By kind of the holds in force, partial ones too: a debtor with two kinds is in both",
        examples=[{"DISPUTE": {"debtors": 3, "debt": "4120.00"}}],
    )
    rankable: int = Field(description="Debtors that a run would rank now")
    excluded: dict[str, int] = Field(
        description="Debtors that a run would leave out now, by reason", examples=[{"PAID": 120, "HOLD_DISPUTE": 3}]
    )
    score_histogram: list[ScoreRangeOut]


class PointOut(DebtOut):
    """What the first debtors by priority hold of the debt."""

    top_percent: int = Field(description="Their share of the debtors that a run would rank, rounded up to a debtor")
    debt_share_percent: str = Field(examples=["41.27"])
    priority: str | None = Field(description="Priority of the last of them; null where there is none")


class ConcentrationOut(BaseModel):
    """How much of the debt the first of the order hold, for each percent of the debtors."""

    portfolio: str
    as_of: datetime = Field(description="When it was computed: up to a minute ago")
    points: list[PointOut]


class RankOut(BaseModel):
    """Where a debtor stands among those that a run would rank now, or why it is left out."""

    debtor_id: int
    portfolio: str
    rank: int | None
    of: int = Field(description="How many debtors a run would rank")
    priority: str | None = Field(description="Null where the active policy cannot score the debtor")
    reason: Exclusion | None
    as_of: datetime
