"""What the page of a debtor shows, made of what the APIs answer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from recovery_client.shapes import Debtor, Hold
from recovery_console import words
from recovery_console.formatting import Reader

SCORE_TIMES_DEBT = "score_times_debt"
_CELLS = {"no_income": "no income", "zero_denominator": "nothing to divide by", "missing": "no value"}
_OBJECTIVES = {
    "debt_only": "the debt alone",
    "expected_recovery": "rate of the level × debt",
    "value_per_effort": "rate of the level × debt ÷ cost of the action",
}


@dataclass(frozen=True, slots=True)
class Event:
    """A decision or a skip: what became of the debtor in a run."""

    run_id: str
    at: str
    what: str
    level: str | None
    lane: str | None
    priority: str | None
    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """What a debtor would be if one fact were another."""

    factor: str
    value: str
    total_score: int
    risk_level: str
    priority: str
    rank: int | None


@dataclass(frozen=True, slots=True)
class FactorLine:
    """One factor of the score: what it adds, what it adds to a neutral debtor, the most it could add."""

    name: str
    contribution: int
    neutral: int
    most: int
    sentence: str


def equation(debtor: Debtor, document: Mapping[str, Any] | None, currency: str | None, reader: Reader) -> str:
    """Return how the priority comes about: 303 × 33,267.16 EUR = 10,079,949.48."""
    objective = (document or {}).get("objective", SCORE_TIMES_DEBT)
    priority = reader.number(debtor["priority"])
    if objective == SCORE_TIMES_DEBT:
        score = reader.number(debtor["assessment"]["total_score"])
        return f"{score} × {reader.money(debtor['total_debt_amount'], currency)} = {priority}"
    kind = objective if isinstance(objective, str) else objective["kind"]
    return f"{_OBJECTIVES.get(kind, words.plain(kind).lower())} = {priority}"


def factor_lines(debtor: Debtor, document: Mapping[str, Any] | None) -> list[FactorLine]:
    """Return a line for each factor, the largest contribution first, with the sentence of its reason."""
    assessment = debtor["assessment"]
    known = (document or {}).get("factors", {})
    lines = []
    for name, factor in assessment["factors"].items():
        described = known.get(name, {})
        lines.append(
            FactorLine(
                name=words.plain(name),
                contribution=factor["contribution"],
                neutral=factor["weight"] * described.get("neutral", 0),
                most=max(factor["weight"] * _most_points(described), factor["contribution"]),
                sentence=_sentence(name, assessment["reasons"], list(assessment["factors"])),
            )
        )
    return sorted(lines, key=lambda line: -line.contribution)


def _most_points(factor: Mapping[str, Any]) -> int:
    points = factor.get("points", {})
    given = [*(points.values() if isinstance(points, dict) else ())]
    given += [band["points"] for band in factor.get("bands", ())]
    given += [factor[cell] for cell in _CELLS if isinstance(factor.get(cell), int)]
    return max(given, default=0)


def _sentence(name: str, reasons: Iterable[Mapping[str, Any]], names: Sequence[str]) -> str:
    """Return the text of the factor's reason; a code begins with the longest name that fits."""
    for reason in reasons:
        owner = max((one for one in names if reason["code"].startswith(f"{one.upper()}_")), key=len, default=None)
        if owner == name:
            return str(reason["text"])
    return "Not above the neutral mark."


def standing(rank: Mapping[str, Any] | None, reader: Reader) -> str:
    """Return the rank in words: 3 of 901,234; or why there is none."""
    if rank is None:
        return "–"
    if rank["rank"] is None:
        return f"– ({words.reason(rank['reason'])})"
    return f"{reader.number(rank['rank'])} of {reader.number(rank['of'])}"


def events(decisions: Sequence[Mapping[str, Any]], skips: Sequence[Mapping[str, Any]]) -> list[Event]:
    """Return decisions and skips, the latest first."""
    decided = [
        Event(
            one["run_id"],
            one["decided_at"],
            words.plain(one["action"]),
            one["risk_level"],
            one["lane"],
            one["priority"],
            " ".join(reason["text"] for reason in one["reasons"]),
        )
        for one in decisions
    ]
    skipped = [
        Event(
            one["run_id"],
            one["recorded_at"],
            f"Skipped: {words.reason(one['reason'])}",
            None,
            None,
            None,
            one["detail"],
        )
        for one in skips
    ]
    return sorted((*decided, *skipped), key=lambda event: event.at, reverse=True)


def moves(explanation: Mapping[str, Any]) -> list[Move]:
    """Return what each other cell of each factor would make of the debtor, the best rank first."""
    found = [
        Move(
            words.plain(one["factor"]),
            cell(one["value"]),
            one["total_score"],
            one["risk_level"],
            one["priority"],
            one["rank"],
        )
        for one in explanation.get("moves", ())
    ]
    return sorted(found, key=lambda move: (move.rank is None, move.rank or 0))


def cell(value: Any) -> str:
    """Return a cell of a factor in words: a category, a band, or what stands for no value."""
    if isinstance(value, Mapping):
        above, up_to = value.get("above"), value.get("up_to")
        parts = (
            f"more than {above}" if above is not None else "",
            f"at most {up_to}" if up_to is not None else "",
        )
        return " and ".join(filter(None, parts)) or "any"
    text = str(value)
    return _CELLS.get(text) or words.plain(text)


def active(holds: Sequence[Hold]) -> list[Hold]:
    """Return the holds that are in force."""
    return [hold for hold in holds if hold["active"]]
