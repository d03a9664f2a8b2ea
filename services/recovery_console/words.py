"""The words of the contract as people read them: levels, statuses, reasons, actions, kinds of hold.

The order is that of the contract. What is unknown is shown as it is, in plain letters.
"""

from collections.abc import Iterable

PAGES = (
    ("/", "Portfolio"),
    ("/runs", "Runs"),
    ("/operations", "Operations"),
    ("/policies", "Policies"),
    ("/holds", "Holds"),
)
"""The pages that every page leads to, with their addresses."""
LEVELS = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
STATUSES = ("UNPAID", "PARTIAL", "PAID")
HOLD_KINDS = (
    "DISPUTE",
    "CEASE_CONTACT",
    "ATTORNEY_REPRESENTED",
    "BANKRUPTCY",
    "DECEASED",
    "VULNERABLE",
    "HARDSHIP",
    "BREATHING_SPACE",
    "PROMISE_TO_PAY",
    "PAYMENT_PLAN",
    "TIME_BARRED",
    "FRAUD_REVIEW",
    "OTHER",
)
ACTIONS = (
    "NO_ACTION",
    "SELF_SERVICE_REMINDER",
    "PAYMENT_PLAN_OFFER",
    "AGENT_CALL",
    "SPECIALIST_REVIEW",
    "LEGAL_REVIEW",
)
_SAID = {
    "PAID": "paid",
    "NOT_SCORABLE": "the policy cannot score it",
    "FILTERED": "left out by the run's filters",
    "COVERED": "another account of the same person leads",
    "LIMIT": "beyond the run's limit",
    "DELETED": "deleted",
    "CHANGED": "changed after the batch was sent",
    "ELSEWHERE": "now in another portfolio",
}


def plain(word: str | None) -> str:
    """Return a word of the contract in plain letters: SELF_SERVICE_REMINDER as Self service reminder."""
    return (word or "").replace("_", " ").capitalize()


def blocks(blocked: str | Iterable[str]) -> str:
    """Return what a hold blocks, in words."""
    return "every action" if isinstance(blocked, str) else ", ".join(plain(action).lower() for action in blocked)


def reason(code: str | None) -> str:
    """Return why a debtor is left out or skipped, in words: HOLD_DISPUTE as on hold: dispute."""
    code = code or ""
    if code.startswith("HOLD_"):
        return f"on hold: {plain(code.removeprefix('HOLD_')).lower()}"
    if code.startswith("CAPACITY_"):
        return f"no capacity left for: {plain(code.removeprefix('CAPACITY_')).lower()}"
    return _SAID.get(code, plain(code).lower())
