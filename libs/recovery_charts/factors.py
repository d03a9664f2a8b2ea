"""The factors of a score: a bar each, with a mark where the neutral debtor would be."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_charts.figure import Chart, Table, with_textures
from recovery_charts.markup import Markup, tag
from recovery_charts.scale import percent
from recovery_charts.textures import fill

HEIGHT = 22
INK = "#1d2733"


@dataclass(frozen=True, slots=True)
class Factor:
    """One factor: its contribution, that of the neutral debtor, the most it can contribute, and a sentence."""

    label: str
    contribution: int
    neutral: int
    most: int
    sentence: str = ""


def factors(scope: str, title: str, rows: Sequence[Factor]) -> Chart:
    """Return a bar for each factor on one scale, darker where it is above the neutral mark."""
    most = max((row.most for row in rows), default=0)
    shown = tag("ul", *(_row(scope, row, most) for row in rows), class_="bars factors")
    key = tag("p", _mark("50%"), " The line marks what a neutral debtor would have.", class_="chart-note")
    drawing = with_textures(scope, ("critical", "low"), shown, key)
    headings = ("Factor", "Contribution", "Neutral", "At most")
    table = tuple((row.label, str(row.contribution), str(row.neutral), str(row.most)) for row in rows)
    return Chart("factors", title, drawing, Table(headings, table))


def _row(scope: str, row: Factor, most: int) -> Markup:
    tone = "critical" if row.contribution > row.neutral else "low"
    track = tag("rect", y=2, width=percent(row.most, most), height=HEIGHT - 4, class_="track", fill="none", stroke=INK)
    bar = tag("rect", y=2, width=percent(row.contribution, most), height=HEIGHT - 4, fill=fill(scope, tone))
    line = _line(percent(row.neutral, most))
    drawing = tag("svg", track, bar, line, class_="bar", width="100%", height=HEIGHT, aria_hidden="true")
    text = f"{row.contribution} of {row.most}, neutral {row.neutral}"
    parts = (tag("span", row.label, class_="bar-label"), drawing, tag("span", text, class_="bar-value num"))
    return tag("li", *parts, *([tag("span", row.sentence, class_="bar-note")] if row.sentence else []))


def _line(x: str) -> Markup:
    return tag("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="neutral", stroke=INK, stroke_width=3)


def _mark(x: str) -> Markup:
    return tag("svg", _line(x), width=8, height=HEIGHT, aria_hidden="true")
