"""The hashes of a manifest a second time, with nothing but the standard library, as docs/evidence.md describes them."""

import hashlib
import json
import struct
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from tests.risk_assessment.exclusions.eligibility import Placed, hold_of

ACTIONS = (
    "NO_ACTION",
    "SELF_SERVICE_REMINDER",
    "PAYMENT_PLAN_OFFER",
    "AGENT_CALL",
    "SPECIALIST_REVIEW",
    "LEGAL_REVIEW",
)
LOOKED_AT = (
    "id",
    "version",
    "total_debt_amount",
    "monthly_income",
    "late_payments_count",
    "employment_status",
    "contract_type",
    "industry_sector",
    "family_situation",
    "payment_status",
)


def canonical(document: Any) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def snapshot_hash(rows: Iterable[Mapping[str, Any]], holds: list[Placed], at: datetime) -> str:
    rows = sorted(rows, key=lambda row: row["id"])
    first: dict[int, int] = {}
    for row in rows:
        first.setdefault(row["person_id"], row["id"])
    held = [(row, found) for row in rows if (found := hold_of(row, holds, at))]
    document = {
        "debtors": [[row[name] for name in LOOKED_AT] for row in rows],
        "holds": [[row["id"], named.kind, [ACTIONS[bit] for bit in sorted(blocked)]] for row, (blocked, named) in held],
        "persons": [[row["id"], first[row["person_id"]]] for row in rows if row["person_id"]],
    }
    return hashlib.sha256(canonical(document)).hexdigest()


def order_hash(order: Iterable[tuple[int, int]]) -> str:
    """The hash of (priority in minor units, debtor id) in order."""
    packed = b"".join(struct.pack("<qq", debtor_id, priority) for priority, debtor_id in order)
    return hashlib.sha256(packed).hexdigest()


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    left_out = ("run_id", "as_of", "code_version", "manifest_hash")
    return hashlib.sha256(canonical({k: v for k, v in manifest.items() if k not in left_out})).hexdigest()
