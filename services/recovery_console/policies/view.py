"""What the pages of policies show beside the document: influence, findings, differences, and which policy is which."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from recovery_charts.bars import Bar, bars
from recovery_charts.figure import Chart
from recovery_client.shapes import Finding, Findings, Policy, Portfolio
from recovery_console.formatting import NO_VALUE, Reader
from recovery_console.words import plain

SEVERITIES = ("error", "warning", "note")
STATES = {"draft": "Drafts", "active": "Active", "retired": "Retired", "built-in": "Built in"}


@dataclass(frozen=True, slots=True)
class Difference:
    """One place that differs, with both sides as text; None where nothing stands."""

    place: str
    left: str | None
    right: str | None


def chosen_portfolio(portfolios: Sequence[Portfolio], wanted: str | None) -> Portfolio | None:
    """Return the portfolio of that name; without a name `default`, or else the first one."""
    by_name = {portfolio["name"]: portfolio for portfolio in portfolios}
    if wanted is not None:
        return by_name.get(wanted)
    return by_name.get("default") or next(iter(by_name.values()), None)


def grouped(policies: Iterable[Policy], active_hash: str | None) -> dict[str, list[Policy]]:
    """Return the policies beside the active one by the heading of their state, drafts first, newest version first."""
    others = [policy for policy in policies if policy["hash"] != active_hash]
    newest = sorted(others, key=lambda policy: (policy["name"], -policy["version"]))
    return {title: found for state, title in STATES.items() if (found := [p for p in newest if p["state"] == state])}


def sorted_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings, errors first, in the order of the document otherwise."""
    return sorted(findings, key=lambda finding: SEVERITIES.index(finding["severity"]))


def error_codes(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of errors, which an approver may accept one by one."""
    return list(dict.fromkeys(finding["code"] for finding in findings if finding["severity"] == "error"))


def influence_chart(scope: str, findings: Findings, reader: Reader) -> Chart:
    """Return a bar for each factor: in which share of all cases its best and its worst value differ in level."""
    rows = [
        Bar(
            plain(factor),
            _percent(found["level_flip_share"]),
            reader.percent(_percent(found["level_flip_share"]).quantize(Decimal("0.1"))),
        )
        for factor, found in findings["influence"].items()
    ]
    return bars(scope, "How often a factor alone changes the level", rows, ("Factor", "Share of all cases"))


def influence_rows(findings: Findings) -> list[tuple[str, str, str, str]]:
    """Return for each factor in which share of all cases it changes the level, its points, and the priority's rise."""
    return [
        (plain(factor), found["level_flip_share"], str(found["points_span"]), _rise(found["priority_percent"]))
        for factor, found in findings["influence"].items()
    ]


def differences(changes: Iterable[Mapping[str, Any]]) -> list[Difference]:
    """Return what differs, place by place."""
    return [Difference(change["place"], _text(change["left"]), _text(change["right"])) for change in changes]


def why_not(policy: Policy, portfolio: Portfolio | None, actor: str, *, signs_in: bool) -> str | None:
    """Return why this person cannot activate the policy here, in a sentence; None where they can."""
    if portfolio is None:
        return "There is no portfolio yet in which it could be active."
    if portfolio["active_policy"]["hash"] == policy["hash"]:
        return f"It is active in {portfolio['name']}."
    if signs_in and policy.get("uploaded_by") == actor:
        return "You uploaded this policy: another approver has to activate it."
    return None


def _rise(percent: int | None) -> str:
    return NO_VALUE if percent is None else f"+{percent} %"


def _percent(share: str) -> Decimal:
    part, _, whole = share.partition("/")
    return (Decimal(part) * 100 / Decimal(whole or 1)).quantize(Decimal("0.01"))


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
