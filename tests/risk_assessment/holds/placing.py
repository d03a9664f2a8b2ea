"""Holds as clients place them."""

from datetime import datetime, timedelta
from typing import Any

from tests.risk_assessment.apis import Api
from tests.risk_assessment.builders import a_debtor
from tests.risk_assessment.responses import created

from service_kit.clock import utc_now


def a_hold(**changes: Any) -> dict[str, Any]:
    """What a client sends; a value of None leaves the field out."""
    body = {"kind": "DISPUTE", "reason": "The amount is contested"} | changes
    return {name: value for name, value in body.items() if value is not None}


def from_now(**delta: float) -> str:
    """A moment so far from now."""
    return (utc_now() + timedelta(**delta)).isoformat()


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def a_stored_debtor(api: Api, portfolio: str, **changes: Any) -> int:
    return int(created(api.post("/debtors", json=a_debtor(portfolio=portfolio, **changes)))["id"])


def placed(api: Api, **changes: Any) -> dict[str, Any]:
    return created(api.post("/holds", json=a_hold(**changes)))
