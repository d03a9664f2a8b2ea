"""The manifest of a run: what it was made of and what came of it, from its row alone."""

from collections.abc import Mapping
from typing import Any

import orjson

from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.policies.parts import Lane
from recovery_core.ranking.manifest import hash_manifest
from risk_assessment.runs.tables import unit_of


def manifest_of(run: Mapping[str, Any], policy: Policy) -> dict[str, Any]:
    """Return the manifest of a planned run, given the columns of its row, as clients see it.

    `manifest_hash` is computed again, but for a run that an earlier version planned: it keeps the one it got.
    """
    manifest = {
        "run_id": run["id"],
        "as_of": run["as_of"],
        "code_version": run["code_version"],
        "policy": policy.ref.model_dump(),
        "objective": policy.document["objective"],
        "unit": unit_of(run["unit"]).value,
        "options": _options(run),
        "capacities": orjson.loads(run["capacities"]) if run["capacities"] else None,
        "snapshot_hash": run["snapshot_hash"],
        "lanes": _lanes(run),
        "excluded": orjson.loads(run["excluded"]),
    }
    kept = run["snapshot_hash"] is None
    return manifest | {"manifest_hash": run["manifest_hash"] if kept else hash_manifest(manifest)}


def filters_view(text: str) -> dict[str, Any] | None:
    """Return stored filters as clients see them, None without any."""
    filters = orjson.loads(text)
    return {k: format_money(v) if k.endswith("_debt") else v for k, v in filters.items()} or None


def _options(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "batch_size": run["batch_size"],
        "threshold": format_money(run["threshold"]),
        "limit": run["debtor_limit"],
        "filters": filters_view(run["filters"]),
    }


def _lanes(run: Mapping[str, Any]) -> dict[str, Any]:
    high = run["debtors_high"]
    return {
        Lane.HIGH.value: {"debtors": high, "order_hash": run["order_hash_high"]},
        Lane.STANDARD.value: {"debtors": run["debtors_ranked"] - high, "order_hash": run["order_hash_standard"]},
    }
