"""What the risk API answers about holds."""

from typing import Any

from tests.recovery_console.builders import NOW


def a_hold(hold_id: str = "h1", **changes: Any) -> dict[str, Any]:
    """A dispute of debtor 7, in force until the end of March."""
    return {
        "id": hold_id,
        "portfolio": "default",
        "debtor_id": 7,
        "person_ref": None,
        "kind": "DISPUTE",
        "blocks": "all",
        "reason": "Letter of 1 March",
        "source": "crm",
        "from": NOW,
        "until": "2026-03-31T22:00:00Z",
        "recorded_at": NOW,
        "recorded_by": "key:operator",
        "ended_at": None,
        "end_reason": None,
        "ended_by": None,
        "active": True,
    } | changes
