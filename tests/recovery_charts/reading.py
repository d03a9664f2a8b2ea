"""Reads a chart as a browser would: its elements, its drawn lengths, its table."""

from collections.abc import Iterator
from xml.etree import ElementTree

from recovery_charts.figure import Chart


def parsed(chart: Chart) -> ElementTree.Element:
    """The chart as a tree. It must be well formed."""
    return ElementTree.fromstring(str(chart))


def elements(chart: Chart, name: str, class_: str | None = None) -> Iterator[ElementTree.Element]:
    """Its elements of this name, with this among their classes if asked."""
    for element in parsed(chart).iter(name):
        if class_ is None or class_ in element.get("class", "").split():
            yield element


def attributes(chart: Chart, name: str, class_: str, *wanted: str) -> list[tuple[str | None, ...]]:
    """The wanted attributes of these elements."""
    return [tuple(element.get(one) for one in wanted) for element in elements(chart, name, class_)]


def table_of(chart: Chart) -> list[list[str]]:
    """Its table, the headings first."""
    return [["".join(cell.itertext()) for cell in row] for row in parsed(chart).iter("tr")]
