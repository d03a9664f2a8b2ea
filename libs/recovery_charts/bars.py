"""Bars: one for each row, or one of several parts for each row."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_charts.figure import Chart, Key, Table, legend, link_or_text, with_textures
from recovery_charts.markup import Markup, tag
from recovery_charts.scale import Number, percent, share
from recovery_charts.textures import fill

HEIGHT = 18  # of a bar, in pixels
OUTLINE = "#4f5b66"


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its name, its number, the number as the reader shall see it, its tone, where a click leads."""

    label: str
    value: Number
    text: str
    tone: str = "plain"
    href: str | None = None


@dataclass(frozen=True, slots=True)
class Stack:
    """One row of parts, one for each key; `texts` are the parts as the reader shall see them."""

    label: str
    values: Sequence[Number]
    texts: Sequence[str]
    href: str | None = None


def bars(scope: str, title: str, rows: Sequence[Bar], headings: tuple[str, str] = ("", "Number")) -> Chart:
    """Return a bar for each row; the longest one is as long as the drawing."""
    most = max((row.value for row in rows), default=0)
    shown = (
        tag(
            "li",
            link_or_text(row.label, row.href, "bar-label"),
            _drawing(_part(scope, row.tone, 0, row.value, most)),
            tag("span", row.text, class_="bar-value num"),
        )
        for row in rows
    )
    drawing = with_textures(scope, (row.tone for row in rows), tag("ul", *shown, class_="bars"))
    return Chart("bars", title, drawing, Table(headings, tuple((row.label, row.text) for row in rows)))


def stacked(scope: str, title: str, keys: Sequence[Key], rows: Sequence[Stack], *, heading: str = "") -> Chart:
    """Return a bar of parts for each row, each as long as the drawing, with a legend that counts each key."""
    shown = (
        tag("li", link_or_text(row.label, row.href, "bar-label"), _drawing(*_parts(scope, keys, row))) for row in rows
    )
    texts = [row.texts for row in rows]
    named = zip(keys, texts[0] if len(texts) == 1 else [""] * len(keys), strict=True)
    drawing = with_textures(
        scope, (key.tone for key in keys), tag("ul", *shown, class_="bars stacks"), legend(scope, named)
    )
    table = Table((heading, *(key.label for key in keys)), tuple((row.label, *row.texts) for row in rows))
    return Chart("stacked", title, drawing, table)


def _parts(scope: str, keys: Sequence[Key], row: Stack) -> list[Markup]:
    whole = sum(row.values)
    starts = [sum(row.values[:place]) for place in range(len(row.values))]
    return [
        _part(scope, key.tone, start, value, whole)
        for key, start, value in zip(keys, starts, row.values, strict=True)
        if value
    ]


def _part(scope: str, tone: str, start: Number, value: Number, whole: Number) -> Markup:
    # A number that is not 0 can be seen, however small it is.
    width = f"{max(share(value, whole), 0.3):g}%" if value else "0%"
    return tag(
        "rect",
        x=percent(start, whole),
        width=width,
        height=HEIGHT,
        class_="outline",
        fill=fill(scope, tone),
        stroke=OUTLINE,
    )


def _drawing(*parts: Markup) -> Markup:
    return tag("svg", *parts, class_="bar", width="100%", height=HEIGHT, aria_hidden="true")
