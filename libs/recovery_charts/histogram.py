"""A histogram: columns side by side, each over its part of the scale."""

from collections.abc import Sequence

from recovery_charts.bars import OUTLINE, Bar
from recovery_charts.figure import Chart, Table, axis, with_textures
from recovery_charts.markup import Markup, tag
from recovery_charts.scale import share
from recovery_charts.textures import fill

HEIGHT = 140  # in pixels


def histogram(scope: str, title: str, columns: Sequence[Bar], headings: tuple[str, str] = ("", "Number")) -> Chart:
    """Return a column for each bar, in their order; the axis names the first, the middle and the last."""
    most = max((column.value for column in columns), default=0)
    shown = [_column(scope, column, number, len(columns), most) for number, column in enumerate(columns)]
    ground = tag("line", x1="0", x2="100%", y1=HEIGHT, y2=HEIGHT, class_="outline", stroke=OUTLINE)
    # Columns that lead somewhere can be reached by keyboard, so that they are not hidden from readers of the page.
    hidden = None if any(column.href for column in columns) else "true"
    drawing = tag("svg", *shown, ground, class_="columns", width="100%", height=HEIGHT, aria_hidden=hidden)
    highest = max(columns, key=lambda column: column.value, default=None)
    top = [tag("p", f"Highest: {highest.text} at {highest.label}", class_="chart-note")] if highest else []
    ends = [columns[0].label, columns[len(columns) // 2].label, columns[-1].label] if columns else []
    parts = with_textures(scope, (column.tone for column in columns), *top, drawing, axis(*dict.fromkeys(ends)))
    return Chart("histogram", title, parts, Table(headings, tuple((c.label, c.text) for c in columns)))


def _column(scope: str, column: Bar, number: int, count: int, most: object) -> Markup:
    height = round(share(column.value, most) * (HEIGHT - 2) / 100, 1) if column.value else 0  # type: ignore[arg-type]
    height = max(height, 1) if column.value else height
    rect = tag(
        "rect",
        x=f"{round(100 * number / count, 3):g}%",
        y=f"{HEIGHT - height:g}",
        width=f"{round(100 / count, 3):g}%",
        height=f"{height:g}",
        class_="outline",
        fill=fill(scope, column.tone),
        stroke=OUTLINE,
    )
    if column.href is None:
        return rect
    return tag("a", tag("title", f"{column.label}: {column.text}"), rect, href=column.href)
