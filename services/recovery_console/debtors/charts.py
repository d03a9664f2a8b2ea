"""The charts of a debtor: a bar for each factor with its neutral mark, and the score over time."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from recovery_charts.curves import Point, history
from recovery_charts.factors import Factor, factors
from recovery_charts.figure import Chart
from recovery_console.debtors.view import FactorLine
from recovery_console.formatting import Reader


def factors_chart(lines: Sequence[FactorLine]) -> Chart:
    """Return a bar for each factor."""
    rows = [Factor(one.name, one.contribution, one.neutral, one.most, one.sentence) for one in lines]
    return factors("factors", "What the score is made of", rows)


def history_chart(assessments: Sequence[Mapping[str, Any]], reader: Reader) -> Chart | None:
    """Return the total score over time, the first assessment first; None while there is no line to draw."""
    if len(assessments) < 2:
        return None
    points = [
        Point(
            datetime.fromisoformat(one["assessed_at"]).strftime("%Y-%m-%d"),
            one["total_score"],
            reader.number(one["total_score"]),
        )
        for one in reversed(assessments)
    ]
    return history("score-history", "Total score over time", points, ("Day", "Total score"))
