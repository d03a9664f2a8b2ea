"""A strip: a cell for each batch, at its place in the order of work, by what became of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from recovery_charts.bars import OUTLINE
from recovery_charts.figure import Chart, Key, Table, legend, with_textures
from recovery_charts.markup import Markup, tag
from recovery_charts.textures import fill

HEIGHT = 22  # in pixels
MAX_CELLS = 400  # more would be narrower than their outline: then a cell stands for several batches


@dataclass(frozen=True, slots=True)
class Lane:
    """One strip: its name, and its batches in their order as stretches: which key, and how many batches have it."""

    label: str
    stretches: Sequence[tuple[int, int]]

    def counts(self, keys: int) -> list[int]:
        """Return how many batches have each key."""
        return [sum(length for key, length in self.stretches if key == wanted) for wanted in range(keys)]


def strip(
    scope: str,
    title: str,
    keys: Sequence[Key],
    lanes: Sequence[Lane],
    number: Callable[[int], str] = "{:,}".format,
    *,
    urgent: str = "",
) -> Chart:
    """Return a strip for each lane, with a legend that counts the cells of all of them; `number` writes a count.

    Where a cell stands for several batches it shows the key of most of them, or `urgent`, a tone, if one has it.
    """
    counts = [lane.counts(len(keys)) for lane in lanes]
    shown = (
        tag("li", tag("span", lane.label, class_="bar-label"), _cells(scope, keys, lane, urgent), _total(found, number))
        for lane, found in zip(lanes, counts, strict=True)
    )
    named = [(key, number(sum(found[at] for found in counts))) for at, key in enumerate(keys)]
    drawing = with_textures(
        scope, (key.tone for key in keys), tag("ul", *shown, class_="bars strips"), legend(scope, named)
    )
    rows = tuple((lane.label, *map(number, found)) for lane, found in zip(lanes, counts, strict=True))
    return Chart("strip", title, drawing, Table(("Lane", *(key.label for key in keys)), rows))


def _total(counts: Sequence[int], number: Callable[[int], str]) -> Markup:
    return tag("span", number(sum(counts)), class_="bar-value num")


def _cells(scope: str, keys: Sequence[Key], lane: Lane, urgent: str) -> Markup:
    total, groups = sum(length for _, length in lane.stretches), []
    wins = next((number for number, key in enumerate(keys) if key.tone == urgent), None)
    drawn = _one_each(lane) if total <= MAX_CELLS else _coarse(lane, total, wins)
    placed = list(_placed(drawn))
    for number, key in enumerate(keys):
        cells = [_cell(start, length, min(total, MAX_CELLS)) for key_of, start, length in placed if key_of == number]
        look = {"class_": f"outline cells-{key.tone}", "fill": fill(scope, key.tone), "stroke": OUTLINE}
        groups += [tag("g", *cells, **look)] if cells else []
    return tag("svg", *groups, class_="bar strip", width="100%", height=HEIGHT, aria_hidden="true")


def _one_each(lane: Lane) -> list[tuple[int, int]]:
    return [(key, 1) for key, length in lane.stretches for _ in range(length)]


def _coarse(lane: Lane, total: int, urgent: int | None) -> list[tuple[int, int]]:
    """Return MAX_CELLS cells for more batches than that, equal ones side by side as one."""
    cells: list[dict[int, int]] = [{} for _ in range(MAX_CELLS)]
    start = 0
    for key, length in lane.stretches:
        end = start + length
        for number in range(start * MAX_CELLS // total, -(-end * MAX_CELLS // total)):
            # In parts of a batch, so that a batch on the edge of two cells counts in both.
            part = min(end * MAX_CELLS, (number + 1) * total) - max(start * MAX_CELLS, number * total)
            cells[number][key] = cells[number].get(key, 0) + part
        start = end
    shown = (urgent if urgent in cell else max(cell, key=lambda key: cell[key]) for cell in cells)
    return [(key, len(list(same))) for key, same in groupby(shown)]


def _placed(cells: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    start = 0
    for key, length in cells:
        yield key, start, length
        start += length


def _cell(start: int, length: int, total: int) -> Markup:
    # A page of a run is sent again and again, so that what cells have in common stands once, in their group.
    x, width = f"{round(100 * start / total, 3):g}%", f"{round(100 * length / total, 3):g}%"
    return tag("rect", x=x, width=width, height=HEIGHT)
