"""What a run must conclude, computed a second time: plain fractions over the policy's document, no code of ours."""

import hashlib
import json
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

POLICIES = Path(__file__).resolve().parents[2] / "libs/recovery_core/policies/builtin"
CATEGORIES = ("employment_status", "contract_type", "industry_sector", "family_situation")


@dataclass(frozen=True)
class Expected:
    """One debtor's place in the order of work, and what is to be concluded."""

    debtor_id: int
    batch_sequence: int
    position: int
    lane: str
    priority: Fraction
    total_score: int
    risk_level: str
    action: str


class Oracle:
    """One policy, read from its document."""

    def __init__(self, policy: str = "standard") -> None:
        self.document = json.loads((POLICIES / f"{policy}.json").read_text())

    def order(self, debtors: Iterable[dict[str, Any]], batch_size: int, threshold: str) -> list[Expected]:
        """What a run over these debtors, as the API shows them, must conclude, in the order of work."""
        ranked = []
        for debtor in debtors:
            if debtor["payment_status"] != "PAID":
                score = self.score(debtor)
                ranked.append((-score * Fraction(debtor["total_debt_amount"]), debtor["id"], score, debtor))
        ranked.sort(key=lambda entry: entry[:2])
        found: list[Expected] = []
        sequence, position, lane_before = 1, -1, None
        for negative, debtor_id, score, debtor in ranked:
            lane = "high" if -negative > Fraction(threshold) else "standard"
            position += 1
            if position == batch_size or lane != (lane_before or lane):
                sequence, position = sequence + 1, 0
            lane_before = lane
            level = self.level(score)
            action = self.action(level, lane, debtor)
            found.append(Expected(debtor_id, sequence, position, lane, -negative, score, level, action))
        return found

    def score(self, debtor: dict[str, Any]) -> int:
        """Weights times points."""
        return sum(f["weight"] * self._points(name, f, debtor) for name, f in self.document["factors"].items())

    def level(self, score: int) -> str:
        """The level of a total score."""
        most = self.document.get("max_points", 10) * sum(f["weight"] for f in self.document["factors"].values())
        percent = Fraction(100 * score, most)
        levels = self.document["levels"]
        return next(str(row["level"]) for row in levels if percent <= row.get("up_to_percent", 100))

    def action(self, level: str, lane: str, debtor: dict[str, Any]) -> str:
        """The first row of the treatment table that matches."""
        debt = Fraction(debtor["total_debt_amount"])
        facts = {"level": level, "lane": lane, "payment_status": debtor["payment_status"]}
        for row in self.document["treatment"]:
            fits = all(facts[name] in row.get(name, [facts[name]]) for name in facts)
            if (
                fits
                and Fraction(row.get("min_debt", 0)) <= debt
                and not debt >= Fraction(row.get("max_debt", debt + 1))
            ):
                return str(row["action"])
        raise AssertionError("the last row matches all")

    def _points(self, name: str, factor: dict[str, Any], debtor: dict[str, Any]) -> int:
        if name in CATEGORIES:
            return int(factor["points"][debtor[name]])
        if name == "payment_history":
            return self._band(factor, Fraction(debtor["late_payments_count"]))
        income = Fraction(debtor["monthly_income"])
        if income <= 0:
            return int(factor["no_income"])
        return self._band(factor, Fraction(debtor["total_debt_amount"]) / income)

    def _band(self, factor: dict[str, Any], value: Fraction) -> int:
        return next(int(b["points"]) for b in factor["bands"] if "up_to" not in b or value <= Fraction(b["up_to"]))


def order_hash(order: Iterable[Expected]) -> str:
    """SHA-256 over each (debtor, priority in minor units) in order."""
    digest = hashlib.sha256()
    for entry in order:
        digest.update(struct.pack("<qq", entry.debtor_id, int(entry.priority * 100)))
    return digest.hexdigest()


def manifest_hash(manifest: dict[str, Any]) -> str:
    """SHA-256 over the manifest as canonical JSON, without what differs between runs that ranked the same."""
    outside = ("run_id", "as_of", "code_version", "manifest_hash")
    covered = {name: value for name, value in manifest.items() if name not in outside}
    return hashlib.sha256(json.dumps(covered, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
