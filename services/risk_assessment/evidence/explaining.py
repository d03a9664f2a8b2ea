"""Explains the place of a debtor in a planned run, or why it was left out, from stored history alone."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import orjson
from sqlalchemy import Connection, Row

from recovery_core.money import format_money
from recovery_core.policies.document import Policy
from recovery_core.profile import DEBT_AT, PaymentStatus
from recovery_core.ranking.exclusions import Exclusion
from recovery_core.ranking.moves import debt_to_pass, moves_of
from recovery_core.ranking.objective import lane_of, objective_for
from recovery_core.scoring.cells import ScoringError
from recovery_core.scoring.places import FactorPlace, places_of
from recovery_core.scoring.scorer import Score, Scorer
from risk_assessment.evidence import history
from risk_assessment.evidence.history import LeftOut, Seen
from risk_assessment.evidence.order import RunOrder, Spot
from risk_assessment.evidence.queries import InputsErasedError, require_plan
from risk_assessment.exclusions.selection import is_outside
from risk_assessment.snapshots import queries as snapshots


class DebtorNotInRunError(LookupError):
    """The debtor was not in the portfolio when the run was planned."""

    def __init__(self, debtor_id: int) -> None:
        super().__init__(f"debtor {debtor_id} was not in the portfolio of this run")


class _Judged(NamedTuple):
    """A debtor as the run saw it, judged by the run's policy; `score` is None where that cannot score it."""

    seen: Seen
    blocked: int
    score: Score | None
    priority: int

    @property
    def debt(self) -> int:
        debt: int = self.seen.facts[DEBT_AT]
        return debt


def explain(connection: Connection, run: Row[Any], scorer: Scorer, debtor_id: int) -> dict[str, Any]:
    """Return the explanation as clients see it.

    Raises RunNotPlannedError, DebtorNotInRunError, InputsErasedError, PlanErasedError.
    """
    require_plan(run)
    return _Explanation(connection, run, scorer, debtor_id).show()


class _Explanation:
    """One debtor in one run."""

    def __init__(self, connection: Connection, run: Row[Any], scorer: Scorer, debtor_id: int) -> None:
        self._connection, self._run, self._scorer, self._id = connection, run, scorer, debtor_id
        self._policy: Policy = scorer.policy
        self._order = RunOrder(connection, run.number, run.batches_total)

    def show(self) -> dict[str, Any]:
        candidates = [self._judge(seen) for seen in self._candidates()]
        found = self._ranked(candidates)
        if found is not None:
            judged, spot = found
            return {**self._judgement(judged), **self._place(judged, spot), "moves": self._moves(judged, spot)}
        judged, left = self._left_out(candidates)
        moves = self._moves(judged, None)
        return {**self._judgement(judged), **_NOWHERE, **self._exclusion(left), "moves": moves}

    def _candidates(self) -> list[Seen]:
        """Return the versions of the debtor that the run may have seen: one, unless an earlier version planned it."""
        if self._run.snapshot_hash is None:
            return history.versions_of(self._connection, self._id)
        version = snapshots.version_of(self._connection, self._run.number, self._id)
        if version is None:
            raise DebtorNotInRunError(self._id)
        seen = history.seen_at(self._connection, self._id, version)
        if seen is None:
            raise InputsErasedError(f"version {version} of debtor {self._id} was deleted")
        return [seen]

    def _judge(self, seen: Seen) -> _Judged:
        block = history.block_on(self._connection, self._run, self._id, seen.person_id)
        blocked = block.mask if block else 0
        try:
            score = self._scorer.score(seen.facts)
        except ScoringError:
            return _Judged(seen, blocked, None, 0)
        priority = objective_for(self._policy).priority(score, seen.facts, seen.payment_status, blocked)
        return _Judged(seen, blocked, score, priority)

    def _ranked(self, candidates: Sequence[_Judged]) -> tuple[_Judged, Spot] | None:
        """Return the one that the run ranked, and its spot in the order; None where it ranked none."""
        scored = [judged for judged in candidates if judged.score is not None]
        spots = self._order.spots([(judged.priority, self._id) for judged in scored])
        for judged, spot in zip(scored, spots, strict=True):
            found = self._order.entry_at(spot)
            if found is not None and found[0] == (judged.priority, self._id, judged.seen.version):
                return judged, found[1]
        return None

    def _left_out(self, candidates: Sequence[_Judged]) -> tuple[_Judged, LeftOut]:
        """Return the debtor as it stood, and why it was left out: by the record, or by the options of the run."""
        left, run = history.left_out(self._connection, self._run.number, self._id), self._run
        at = run.snapshot_at or run.planned_at
        new = run.snapshot_hash is not None
        judged = next((one for one in candidates if new or one.seen.assessed_at <= at), None)
        if left is not None and judged is None:
            raise InputsErasedError(f"the history of debtor {self._id} was deleted")
        here = new or left is not None or history.is_of(self._connection, self._id, run.portfolio)
        if judged is None or not here:
            raise DebtorNotInRunError(self._id)
        return judged, left or LeftOut(self._unrecorded(judged), 0, 0)

    def _unrecorded(self, judged: _Judged) -> Exclusion:
        """Return why a debtor without a record was left out."""
        if judged.seen.payment_status == PaymentStatus.PAID.value:
            return Exclusion.PAID  # version 1.0 recorded none
        if judged.score is None:
            return Exclusion.NOT_SCORABLE
        filters = orjson.loads(self._run.filters)
        outside = is_outside(filters, judged.debt, judged.seen.payment_status, judged.score.risk_level)
        return Exclusion.FILTERED if outside else Exclusion.LIMIT

    def _judgement(self, judged: _Judged) -> dict[str, Any]:
        score = judged.score
        return {
            "run_id": self._run.id,
            "debtor_id": self._id,
            "of": self._run.debtors_ranked,
            "priority": format_money(judged.priority) if score else None,
            "total_score": score.total_score if score else None,
            "risk_level": score.risk_level if score else None,
            "total_debt_amount": format_money(judged.debt),
            "policy": self._policy.ref.model_dump(),
            "as_of": self._run.as_of,
            "factors": {place.name: _factor(place) for place in self._places(judged)},
        }

    def _places(self, judged: _Judged) -> list[FactorPlace]:
        return places_of(self._policy, judged.seen.facts) if judged.score else []

    def _place(self, judged: _Judged, spot: Spot) -> dict[str, Any]:
        above = self._order.entry_before(spot)
        below = self._order.entry_at(spot._replace(before=spot.before + 1, position=spot.position + 1))
        needed = debt_to_pass(judged.priority, judged.debt, self._id, above[:2]) if above else None
        return {
            "outcome": "ranked",
            "reason": None,
            "hold_id": None,
            "lead_debtor_id": None,
            "rank": spot.before + 1,
            "lane": lane_of(judged.priority, self._run.threshold),
            "batch_sequence": spot.sequence,
            "position": spot.position,
            "above": _adjacent(above, judged.priority),
            "below": _adjacent(below[0] if below else None, judged.priority),
            "debt_to_pass_above": None if needed is None else format_money(needed),
        }

    def _exclusion(self, left: LeftOut) -> dict[str, Any]:
        return {
            "outcome": "excluded",
            "reason": left.reason,
            "hold_id": history.hold_id_of(self._connection, left.hold),
            "lead_debtor_id": left.lead or None,
        }

    def _moves(self, judged: _Judged, spot: Spot | None) -> list[dict[str, Any]]:
        facts, status = judged.seen.facts, judged.seen.payment_status
        moves = list(moves_of(self._policy, self._places(judged), facts, status, judged.blocked))
        spots = self._order.spots([(move.priority, self._id) for move in moves])
        shown = []
        for move, moved in zip(moves, spots, strict=True):
            # The debtor itself is not among the others that it would be compared with.
            passed = spot is not None and spot.before < moved.before
            rank = moved.before + (0 if passed else 1)
            shown.append({**move._asdict(), "priority": format_money(move.priority), "rank": rank})
        return shown


_NOWHERE = dict.fromkeys(("rank", "lane", "batch_sequence", "position", "above", "below", "debt_to_pass_above"))


def _factor(place: FactorPlace) -> dict[str, Any]:
    points, weight = place.points, place.weight
    return {"value": place.value, "points": points, "weight": weight, "contribution": weight * points}


def _adjacent(entry: Sequence[int] | None, priority: int) -> dict[str, Any] | None:
    if entry is None:
        return None
    difference = format_money(abs(entry[0] - priority))
    return {"debtor_id": entry[1], "priority": format_money(entry[0]), "difference": difference}
