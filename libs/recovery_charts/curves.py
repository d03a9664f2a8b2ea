"""Lines: how much of a whole the first so many hold, and how a number went over time."""

from collections.abc import Sequence
from dataclasses import dataclass

from recovery_charts.figure import Chart, Table, axis, link_or_text
from recovery_charts.markup import Markup, tag
from recovery_charts.scale import Number, place

HEIGHT = 180  # in pixels
INK, FAINT = "#3b5b92", "#7b8794"


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a line: what it is of, its value, and the value as the reader shall see it."""

    label: str
    value: Number
    text: str


@dataclass(frozen=True, slots=True)
class Share:
    """What the first so many percent hold, in percent of the whole, and where a click on its mark leads."""

    percent: Number
    share: Number
    text: str
    href: str | None = None


def concentration(
    scope: str, title: str, points: Sequence[Share], marks: Sequence[int] = (1, 5, 10, 25, 50), *, of: str = "debtors"
) -> Chart:
    """Return the curve of what the first x percent hold, beside the straight line of an equal spread."""
    places = [(0.0, 0.0), *((place(point.percent, 0, 100), place(point.share, 0, 100)) for point in points)]
    marked = [point for point in points if point.percent in marks]
    equal = tag("path", d="M0 1000 1000 0", **_stroke("equal", FAINT), stroke_dasharray="6 6")
    dots = [_dot(place(p.percent, 0, 100), place(p.share, 0, 100), f"top {p.percent} %: {p.text}") for p in marked]
    named = (tag("li", link_or_text(f"Top {point.percent} %: {point.text}", point.href, "mark")) for point in marked)
    drawing = tag(
        "div",
        _canvas(scope, equal, _line(places), dots),
        axis("0 %", f"of {of}", "100 %"),
        tag("ul", *named, class_="chart-marks"),
        class_="chart-drawing",
    )
    rows = tuple((f"{point.percent} %", point.text) for point in points)
    return Chart("concentration", title, drawing, Table((f"Top part of {of}", "Share"), rows))


def history(scope: str, title: str, points: Sequence[Point], headings: tuple[str, str] = ("When", "Value")) -> Chart:
    """Return how a number went, the earliest point first; the axis names both ends, the note the extremes."""
    lowest, highest = _extremes(points)
    places = [
        (place(number, 0, len(points) - 1), place(point.value, lowest.value, highest.value))
        for number, point in enumerate(points)
    ]
    dots = [_dot(*where, f"{point.label}: {point.text}") for where, point in zip(places, points, strict=True)]
    note = f"Highest {highest.text}, lowest {lowest.text}" if highest.text != lowest.text else f"Always {lowest.text}"
    drawing = tag(
        "div",
        tag("p", note, class_="chart-note"),
        _canvas(scope, Markup(), _line(places) if len(points) > 1 else Markup(), dots),
        axis(*dict.fromkeys((points[0].label, points[-1].label)) if points else ()),
        class_="chart-drawing",
    )
    return Chart("history", title, drawing, Table(headings, tuple((point.label, point.text) for point in points)))


def _extremes(points: Sequence[Point]) -> tuple[Point, Point]:
    nothing = Point("", 0, "–")
    by_value = sorted(points, key=lambda point: point.value)
    return (by_value[0], by_value[-1]) if points else (nothing, nothing)


def _canvas(scope: str, under: Markup, line: Markup, dots: Sequence[Markup]) -> Markup:
    """Return the drawing: lines on a canvas that stretches with the page, dots that stay round."""
    stretched = tag(
        "svg", under, line, viewBox="0 0 1000 1000", preserveAspectRatio="none", width="100%", height=HEIGHT
    )
    frame = tag("rect", width="100%", height=HEIGHT, class_="track", fill="none", stroke=FAINT)
    return tag(
        "svg",
        frame,
        stretched,
        *dots,
        id=f"{scope}-line",
        class_="line",
        width="100%",
        height=HEIGHT,
        aria_hidden="true",
    )


def _line(places: Sequence[tuple[float, float]]) -> Markup:
    points = " ".join(f"{x * 10:g},{1000 - y * 10:g}" for x, y in places)
    return tag("polyline", points=points, **_stroke("drawn", INK))


def _stroke(class_: str, colour: str) -> dict[str, str | int]:
    return {
        "class": class_,
        "fill": "none",
        "stroke": colour,
        "stroke_width": 2,
        "vector_effect": "non-scaling-stroke",
    }


def _dot(x: float, y: float, text: str) -> Markup:
    title = tag("title", text)
    return tag("circle", title, cx=f"{x:g}%", cy=f"{100 - y:g}%", r=4, class_="dot", fill=INK)
