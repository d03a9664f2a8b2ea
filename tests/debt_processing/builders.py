"""Batches with honest defaults, so that a test shows only what matters."""

from datetime import UTC, datetime
from typing import Any

import orjson

from recovery_core.messages.batch import (
    BatchHeader,
    PolicyHeader,
    ReceivedBatch,
    batch_id_of,
    decode_batch,
    encode_batch,
)
from recovery_core.money import format_money, parse_money
from recovery_core.policies.builtin import built_in_policy
from recovery_core.policies.document import Policy
from recovery_core.profile import FACTS
from recovery_core.scoring.scorer import scorer_for
from service_kit.sqs.messages import Outgoing

AS_OF = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 12, 31, tzinfo=UTC)


def a_debtor(debtor_id: int = 1, policy: str = "standard", **changes: Any) -> dict[str, Any]:
    """One debtor of a batch, with the score and priority that the policy gives it unless said otherwise."""
    facts = {
        "total_debt_amount": "12000.00",
        "monthly_income": "2500.00",
        "late_payments_count": 3,
        "employment_status": "EMPLOYED",
        "contract_type": "PERMANENT",
        "industry_sector": "RETAIL",
        "family_situation": None,
        "payment_status": "UNPAID",
    } | changes
    return {"debtor_id": debtor_id, **_ranking(facts, policy), **facts} | changes


def _ranking(facts: dict[str, Any], policy: str) -> dict[str, Any]:
    debt = parse_money(facts["total_debt_amount"])
    try:
        amounts = {"total_debt_amount": debt, "monthly_income": parse_money(facts["monthly_income"])}
        score = scorer_for(built_in_policy(policy)).score([(facts | amounts).get(name) for name in FACTS])
    except ValueError:
        return {"priority": "0.00", "total_score": 0}
    return {"priority": format_money(score.total_score * debt), "total_score": score.total_score}


def debtors(count: int, first: int = 1, **changes: Any) -> list[dict[str, Any]]:
    return [a_debtor(debtor_id, **changes) for debtor_id in range(first, first + count)]


def a_header(
    run_id: str = "run-1", sequence: int = 1, policy: Policy | None = None, *, travels: bool = False, **changes: Any
) -> BatchHeader:
    named = policy or built_in_policy("standard")
    values: dict[str, Any] = {
        "batch_id": batch_id_of(run_id, sequence),
        "run_id": run_id,
        "sequence": sequence,
        "lane": "high",
        "portfolio": "default",
        "policy": PolicyHeader(named.name, named.version, named.hash, named.document if travels else None),
        "as_of": AS_OF,
        "threshold": 50_000_000,
        "batches_total": 10,
        "debtors_total": 100,
    }
    return BatchHeader(**values | changes)


def a_body(
    run_id: str = "run-1", sequence: int = 1, entries: list[dict[str, Any]] | None = None, **changes: Any
) -> str:
    """The text of a message; its debtors' ids follow from its sequence."""
    found = debtors(3, first=sequence * 1_000) if entries is None else entries
    return encode_batch(a_header(run_id, sequence, **changes), (orjson.dumps(one).decode() for one in found)).decode()


def a_batch(*args: Any, **changes: Any) -> ReceivedBatch:
    return decode_batch(a_body(*args, **changes))


def a_message(run_id: str = "run-1", sequence: int = 1, **changes: Any) -> Outgoing:
    return Outgoing(f"{run_id}-{sequence}", a_body(run_id, sequence, **changes))


def tampered(body: str, **changes: Any) -> str:
    """The same message with other values in its envelope."""
    return orjson.dumps(orjson.loads(body) | changes).decode()
