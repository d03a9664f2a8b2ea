"""What a stranger writes to the queues: reports and batches that look right."""

from datetime import UTC, datetime
from typing import Any

import orjson

from recovery_core.messages.batch import BatchHeader, PolicyHeader, batch_id_of, encode_batch, encode_debtor
from recovery_core.messages.results import BatchResult, Outcome, encode_results
from recovery_core.policies.builtin import built_in_policy

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = (90_000_00, 100_00, 9, "UNEMPLOYED", "FREELANCE", "ENTERTAINMENT", "WIDOWED_WITH_DEPENDENTS", None)


def forged_reports(run_id: str, debtors: dict[int, int], **changes: Any) -> str:
    """One message that reports these batches done, given with their numbers of debtors."""
    results = []
    for sequence, count in debtors.items():
        values = {"batch_id": batch_id_of(run_id, sequence), "digest": "0" * 64, "succeeded": count} | changes
        results.append(
            BatchResult(
                run_id=run_id,
                sequence=sequence,
                outcome=Outcome.DONE,
                failed=0,
                reason=None,
                finished_at=NOW,
                **values,
            )
        )
    return encode_results(results).decode()


def forged_batch(run_id: str, sequence: int, debtor_ids: list[int], **changes: Any) -> str:
    """A valid batch with these debtors, who are all to be sued."""
    policy = built_in_policy("classic")
    values: dict[str, Any] = {
        "batch_id": batch_id_of(run_id, sequence),
        "run_id": run_id,
        "sequence": sequence,
        "lane": "high",
        "portfolio": "default",
        "policy": PolicyHeader(policy.name, policy.version, policy.hash),
        "as_of": NOW,
        "threshold": 1,
        "batches_total": 1,
        "debtors_total": len(debtor_ids),
    }
    debtors = (encode_debtor(debtor, 405 * FACTS[0], 405, FACTS, "UNPAID") for debtor in debtor_ids)
    return encode_batch(BatchHeader(**values | changes), debtors).decode()


def altered(body: str, **changes: Any) -> str:
    """A message of the system with other values in its envelope."""
    return orjson.dumps(orjson.loads(body) | changes).decode()


def header_of(body: str) -> dict[str, Any]:
    """What a batch of the system says of its run, for a forgery that contradicts nothing."""
    message = orjson.loads(body)
    policy = built_in_policy(message["policy"]["name"])
    return {
        "portfolio": message["portfolio"],
        "policy": PolicyHeader(policy.name, policy.version, policy.hash),
        "as_of": datetime.fromisoformat(message["as_of"]),
        "threshold": int(message["threshold"].replace(".", "")),
        "batches_total": message["batches_total"],
        "debtors_total": message["debtors_total"],
    }
