"""A chart: its drawing, and the same numbers as a table."""

from collections.abc import Iterable
from dataclasses import dataclass

from recovery_charts.markup import Markup, joined, tag
from recovery_charts.textures import fill, textures


@dataclass(frozen=True, slots=True)
class Table:
    """Numbers as texts, as the reader shall see them; the first column names the row."""

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def html(self, caption: str) -> Markup:
        """Return the table with headings of its columns and rows."""
        first, *others = self.headings
        head = [tag("th", first, scope="col"), *(tag("th", text, scope="col", class_="num") for text in others)]
        rows = (tag("tr", tag("th", row[0], scope="row"), *(_number(cell) for cell in row[1:])) for row in self.rows)
        return tag("table", tag("caption", caption), tag("thead", tag("tr", *head)), tag("tbody", *rows))


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart for a page. Jinja shows it as it is: `{{ chart }}`."""

    kind: str
    title: str
    drawing: Markup
    table: Table
    is_open: bool = False
    """Whether the table is shown at once, and not only when asked for."""

    def __html__(self) -> str:
        name = f"{self.title}, as a table"
        rows = tag("div", self.table.html(self.title), class_="scroll", tabindex=0, role="region", aria_label=name)
        shown = (tag("summary", "As a table"), rows)
        table = tag("details", *shown, class_="chart-table", open="" if self.is_open else None)
        parts = (tag("figcaption", self.title), self.drawing, table)
        return str(tag("figure", *parts, class_=f"chart chart-{self.kind}"))

    def __str__(self) -> str:
        return self.__html__()


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend: what a tone stands for."""

    label: str
    tone: str


def legend(scope: str, keys: Iterable[tuple[Key, str]]) -> Markup:
    """Return a legend: for each key a swatch, its name and its number."""
    entries = (
        tag("li", _swatch(scope, key.tone), tag("span", key.label), tag("span", text, class_="num"))
        for key, text in keys
    )
    return tag("ul", *entries, class_="chart-legend")


def with_textures(scope: str, tones: Iterable[str], *parts: str) -> Markup:
    """Return the parts of a drawing after the definitions of the tones that they use."""
    return tag("div", textures(scope, tones), *parts, class_="chart-drawing")


def link_or_text(text: str, href: str | None, class_: str) -> Markup:
    """Return the text, as a link where it leads somewhere."""
    return tag("span", text, class_=class_) if href is None else tag("a", text, class_=class_, href=href)


def axis(*labels: str) -> Markup:
    """Return the labels below a drawing, spread from its left to its right end."""
    return tag("p", joined(tag("span", label) for label in labels), class_="chart-axis", aria_hidden="true")


def _number(text: str) -> Markup:
    return tag("td", text, class_="num")


def _swatch(scope: str, tone: str) -> Markup:
    box = tag("rect", width=14, height=14, class_="outline", fill=fill(scope, tone), stroke="#4f5b66")
    return tag("svg", box, width=14, height=14, aria_hidden="true")
