"""What every route needs: this process's parts, who asks and why."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path, Request

from debt_processing.clock import utc_now
from debt_processing.settings import Settings
from debt_processing.tables import audit_records
from recovery_core.message_shapes import MAX_DEBTOR_ID
from service_kit.audit import Audit
from service_kit.auth import Reason, caller_of
from service_kit.database import Database
from service_kit.sqs import Sqs


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application opened at its start."""

    settings: Settings
    database: Database
    sqs: Sqs


def parts(request: Request) -> Parts:
    """The parts of this process."""
    found: Parts = request.app.state.parts
    return found


async def _audit(request: Request, reason: Reason = None) -> Audit:
    return Audit(audit_records, caller_of(request, reason), utc_now())


Audited = Annotated[Audit, Depends(_audit)]
RunId = Annotated[
    str,
    Path(
        min_length=1,
        max_length=64,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="As the risk service named the run",
    ),
]
DebtorId = Annotated[int, Path(ge=1, le=MAX_DEBTOR_ID)]
