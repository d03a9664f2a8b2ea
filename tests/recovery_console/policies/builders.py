"""What the risk API answers about policies."""

from typing import Any

from tests.recovery_console.builders import NOW, POLICY

from recovery_core.policies.builtin import built_in_policy

DRAFT_HASH = "d" * 64


def a_document(**changes: Any) -> dict[str, Any]:
    """The document of `standard`."""
    return dict(built_in_policy("standard").document) | changes


def a_policy(**changes: Any) -> dict[str, Any]:
    """The policy `standard`, active in `default`."""
    return POLICY | {
        "state": "active",
        "portfolios": ["default"],
        "uploaded_by": None,
        "uploaded_at": None,
    } | changes  # fmt: skip


def a_draft(**changes: Any) -> dict[str, Any]:
    """A draft of another person."""
    mine = {"name": "house", "version": 2, "hash": DRAFT_HASH, "state": "draft", "portfolios": []}
    return a_policy(**(mine | {"uploaded_by": "key:author", "uploaded_at": NOW} | changes))


def a_finding(**changes: Any) -> dict[str, Any]:
    """A warning about a row of the treatment."""
    return {
        "code": "TREATMENT_ROW_UNREACHABLE",
        "severity": "warning",
        "place": "treatment.0",
        "message": "no debtor of a run reaches this row",
        "rule": None,
    } | changes


def some_findings(*findings: dict[str, Any], policy: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer of the linter, with the influence of one factor."""
    ref = {name: (policy or POLICY)[name] for name in ("name", "version", "hash")}
    influence = {"debt_ratio": {"points_span": 72, "level_flip_share": "217/450", "priority_percent": 131}}
    return {"policy": ref, "jurisdiction": "EU", "findings": list(findings), "influence": influence}


def a_diff() -> dict[str, Any]:
    """What differs between `standard` and the draft."""
    left, right = ({name: one[name] for name in ("name", "version", "hash")} for one in (a_policy(), a_draft()))
    changes = [
        {"place": "factors.debt_ratio.weight", "left": 9, "right": 12},
        {"place": "treatment.11", "left": None, "right": {"action": "AGENT_CALL"}},
    ]
    return {"left": left, "right": right, "changes": changes}


def an_activation() -> dict[str, Any]:
    """How the portfolio began."""
    return {
        "policy": POLICY,
        "activated_at": NOW,
        "activated_by": "settings:RISK_POLICY",
        "reason": "the policy with which the portfolio began",
        "accepted_findings": [],
    }


def a_rule_book() -> dict[str, Any]:
    """The answers that the pages of policies ask for: `standard` is active, and `house` is a draft."""
    active, draft = POLICY["hash"], DRAFT_HASH
    draft_document = a_document(name="house", version=2)
    return {
        "GET /risk-service/policies": {"items": [a_policy(), a_draft()], "next_cursor": None},
        f"GET /risk-service/policies/{active}": a_policy(document=a_document()),
        f"GET /risk-service/policies/{draft}": a_draft(document=draft_document),
        f"GET /risk-service/policies/{active}/findings": some_findings(a_finding()),
        f"GET /risk-service/policies/{draft}/findings": some_findings(a_finding(), policy=a_draft()),
        f"GET /risk-service/policies/{active}/diff/{draft}": a_diff(),
        "GET /risk-service/portfolios/default/activations": {"items": [an_activation()], "next_cursor": None},
    }
