"""What goes over the wire about comparisons."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from recovery_core.policies.parts import Lane, RiskLevel

Change = Literal["new", "gone", "moved"]


class ComparedDebtorOut(BaseModel):
    """A debtor that the two runs rank differently."""

    debtor_id: int
    change: Annotated[Change, Field(description="`moved` means another level or lane")]
    reason: Annotated[
        str | None,
        Field(description="Why a `gone` debtor is not ranked: the exclusion of this run, `DELETED` or `ELSEWHERE`"),
    ]
    rank_before: int | None
    rank_after: int | None
    level_before: RiskLevel | None
    level_after: RiskLevel | None
    lane_before: Lane | None
    lane_after: Lane | None


class ComparisonOut(BaseModel):
    """What changed between an earlier run and this one, with a page of the debtors."""

    model_config = ConfigDict(serialize_by_alias=True)

    run_id: str
    with_: Annotated[str, Field(alias="with", description="The earlier run")]
    new: int
    gone: Annotated[dict[str, int], Field(description="How many are not ranked any more, by reason")]
    moved: int
    unchanged: int
    levels: Annotated[
        dict[str, dict[str, int]],
        Field(description="Of the debtors ranked in both: how many went from a level to a level"),
    ]
    items: list[ComparedDebtorOut]
    next_cursor: str | None
