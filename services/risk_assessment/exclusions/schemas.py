"""What goes over the wire about exclusions."""

from typing import Annotated

from pydantic import BaseModel, Field

from recovery_core.ranking.exclusions import Exclusion


class ExclusionOut(BaseModel):
    """A debtor that a run left out, and why."""

    debtor_id: int
    reason: Exclusion
    hold_id: Annotated[str | None, Field(description="The hold that names the reason `HOLD_…`")]
    lead_debtor_id: Annotated[int | None, Field(description="The debtor of the same person that leads, for `COVERED`")]


class ExclusionPage(BaseModel):
    """A page of the debtors that a run left out."""

    items: list[ExclusionOut]
    next_cursor: str | None
