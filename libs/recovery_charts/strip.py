"""A strip: a cell for each batch, in the order of work, by what became of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recovery_charts.bars import OUTLINE
from recovery_charts.figure import Chart, Key, Table, legend, with_textures
from recovery_charts.markup import Markup, tag
from recovery_charts.textures import fill

HEIGHT = 22  # in pixels
MAX_CELLS = 400  # more would be narrower than their outline; equal ones side by side are drawn as one


@dataclass(frozen=True, slots=True)
class Lane:
    """One strip: its name, and for each key how many cells it has, in the order of the keys."""

    label: str
    counts: Sequence[int]


def strip(
    scope: str, title: str, keys: Sequence[Key], lanes: Sequence[Lane], number: Callable[[int], str] = "{:,}".format
) -> Chart:
    """Return a strip for each lane, with a legend that counts the cells of all of them; `number` writes a count."""
    shown = (
        tag("li", tag("span", lane.label, class_="bar-label"), _cells(scope, keys, lane), _total(lane, number))
        for lane in lanes
    )
    totals = [sum(lane.counts[number] for lane in lanes) for number in range(len(keys))]
    named = [(key, number(total)) for key, total in zip(keys, totals, strict=True)]
    drawing = with_textures(
        scope, (key.tone for key in keys), tag("ul", *shown, class_="bars strips"), legend(scope, named)
    )
    rows = tuple((lane.label, *(number(count) for count in lane.counts)) for lane in lanes)
    return Chart("strip", title, drawing, Table(("Lane", *(key.label for key in keys)), rows))


def _total(lane: Lane, number: Callable[[int], str]) -> Markup:
    return tag("span", number(sum(lane.counts)), class_="bar-value num")


def _cells(scope: str, keys: Sequence[Key], lane: Lane) -> Markup:
    total, groups, start = sum(lane.counts), [], 0
    for key, count in zip(keys, lane.counts, strict=True):
        length = 1 if total <= MAX_CELLS else max(count, 1)
        cells = [_cell(start + step, length, total) for step in range(0, count, length)]
        look = {"class_": f"outline cells-{key.tone}", "fill": fill(scope, key.tone), "stroke": OUTLINE}
        groups += [tag("g", *cells, **look)] if cells else []
        start += count
    return tag("svg", *groups, class_="bar strip", width="100%", height=HEIGHT, aria_hidden="true")


def _cell(start: int, length: int, total: int) -> Markup:
    # A page of a run is sent again and again, so that what cells have in common stands once, in their group.
    x, width = f"{round(100 * start / total, 3):g}%", f"{round(100 * length / total, 3):g}%"
    return tag("rect", x=x, width=width, height=HEIGHT)
