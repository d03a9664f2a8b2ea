"""Numbers in, drawing and table out: as tables."""

from decimal import Decimal
from fractions import Fraction
from xml.etree.ElementTree import Element

import pytest

from recovery_charts.bars import Bar, Stack, bars, stacked
from recovery_charts.curves import Point, Share, concentration, history
from recovery_charts.factors import Factor, factors
from recovery_charts.figure import Chart, Key
from recovery_charts.histogram import HEIGHT, histogram
from recovery_charts.markup import Markup, joined, tag
from recovery_charts.scale import percent, place, share
from recovery_charts.strip import MAX_CELLS, Lane, strip
from recovery_charts.textures import SERIES, TONES

from .reading import attributes, elements, parsed, table_of

HOSTILE = "<script>alert('&\"')</script>"
KEYS = (Key("planned", "planned"), Key("done", "done"))


def every_kind(text: str = "text", value: int = 3) -> list[Chart]:
    """One chart of each kind with this text wherever a text may stand."""
    bar = Bar(text, value, text, "high", href=text)
    return [
        bars("a", text, [bar], (text, text)),
        stacked("b", text, [Key(text, "first")], [Stack(text, [value], [text], text)], heading=text),
        histogram("c", text, [bar], (text, text)),
        concentration("d", text, [Share(5, value, text)], of=text),
        history("e", text, [Point(text, value, text)], (text, text)),
        factors("f", text, [Factor(text, value, 1, 10, text)]),
        strip("g", text, [Key(text, "done")], [Lane(text, [(0, value)])], number=lambda _: text),
    ]


KINDS = [chart.kind for chart in every_kind()]


@pytest.mark.parametrize("number", range(len(KINDS)), ids=KINDS)
class TestEveryKind:
    def test_is_well_formed_and_keeps_hostile_text_as_text(self, number: int) -> None:
        chart = every_kind(HOSTILE)[number]
        assert not list(elements(chart, "script"))
        assert HOSTILE in list(parsed(chart).itertext())

    def test_has_nothing_that_a_strict_policy_refuses(self, number: int) -> None:
        for element in parsed(every_kind()[number]).iter():
            assert element.tag not in ("style", "script")
            assert not [name for name in element.attrib if name == "style" or name.startswith("on")]

    def test_has_no_text_in_its_drawing_but_titles(self, number: int) -> None:
        assert not list(elements(every_kind()[number], "text"))

    def test_has_a_caption_and_a_table_with_headings(self, number: int) -> None:
        chart = every_kind("of the run")[number]
        assert [caption.text for caption in elements(chart, "figcaption")] == ["of the run"]
        assert [caption.text for caption in elements(chart, "caption")] == ["of the run"]
        assert {cell.get("scope") for cell in elements(chart, "th")} == {"col", "row"}

    def test_uses_only_textures_that_it_defines_under_names_of_its_own(self, number: int) -> None:
        chart = every_kind()[number]
        fills = {element.get("fill", "") for element in parsed(chart).iter()}
        used = {fill.removeprefix("url(#").removesuffix(")") for fill in fills if fill.startswith("url(")}
        assert used <= {pattern.get("id") for pattern in elements(chart, "pattern")}

    def test_nothing_to_show_is_shown_too(self, number: int) -> None:
        empty = [
            bars("a", "t", []),
            stacked("b", "t", KEYS, []),
            histogram("c", "t", []),
            concentration("d", "t", []),
            history("e", "t", []),
            factors("f", "t", []),
            strip("g", "t", KEYS, [Lane("high", [])]),
        ]
        assert parsed(empty[number]).tag == "figure"

    def test_zeros_divide_nothing(self, number: int) -> None:
        assert parsed(every_kind(value=0)[number]).tag == "figure"


def test_bars_are_as_long_as_their_part_of_the_longest() -> None:
    chart = bars(
        "level", "By level", [Bar("HIGH", 200, "200", "high"), Bar("LOW", 50, "50", "low"), Bar("NONE", 0, "0")]
    )
    widths = attributes(chart, "rect", "outline", "width", "fill")
    assert widths == [("100%", "url(#level-high)"), ("25%", "url(#level-low)"), ("0%", "url(#level-plain)")]
    assert table_of(chart) == [["", "Number"], ["HIGH", "200"], ["LOW", "50"], ["NONE", "0"]]


def test_a_number_that_is_not_zero_can_be_seen() -> None:
    chart = bars("b", "t", [Bar("many", 1_000_000, "1,000,000"), Bar("few", 1, "1")])
    assert attributes(chart, "rect", "outline", "width")[1] == ("0.3%",)


def test_a_bar_leads_where_it_says() -> None:
    chart = bars("b", "t", [Bar("HIGH", 1, "1", href="/?level=HIGH&portfolio=a")])
    assert [link.get("href") for link in elements(chart, "a")] == ["/?level=HIGH&portfolio=a"]


def test_parts_of_a_stack_stand_end_to_end() -> None:
    keys = [Key("AGENT_CALL", "first"), Key("LEGAL_REVIEW", "second"), Key("NO_ACTION", "third")]
    chart = stacked("s", "t", keys, [Stack("HIGH", [3, 0, 1], ["3", "0", "1"])], heading="Level")
    drawn = attributes(chart, "rect", "outline", "x", "width", "fill")[:2]
    assert drawn == [("0%", "75%", "url(#s-first)"), ("75%", "25%", "url(#s-third)")]
    assert table_of(chart) == [["Level", "AGENT_CALL", "LEGAL_REVIEW", "NO_ACTION"], ["HIGH", "3", "0", "1"]]


def test_columns_rise_with_their_numbers() -> None:
    chart = histogram("h", "t", [Bar("0–9", 10, "10"), Bar("10–19", 5, "5"), Bar("20–29", 0, "0")])
    heights = [float(height or 0) for (height,) in attributes(chart, "rect", "outline", "height")]
    assert heights == [HEIGHT - 2, (HEIGHT - 2) / 2, 0]
    assert "".join(next(elements(chart, "p", "chart-axis")).itertext()) == "0–910–1920–29"


def test_the_curve_begins_at_nothing_and_the_marks_are_named() -> None:
    chart = concentration("c", "t", [Share(5, Decimal("14.25"), "14 %"), Share(100, 100, "100 %")])
    assert next(elements(chart, "polyline")).get("points") == "0,1000 50,857.5 1000,0"
    assert ["".join(entry.itertext()) for entry in elements(chart, "li")] == ["Top 5 %: 14 %"]
    assert len(list(elements(chart, "circle"))) == 1


def test_a_history_spans_its_extremes() -> None:
    chart = history("h", "t", [Point("March", 10, "10"), Point("April", 30, "30"), Point("May", 20, "20")])
    assert next(elements(chart, "polyline")).get("points") == "0,1000 500,0 1000,500"
    assert "Highest 30, lowest 10" in list(parsed(chart).itertext())


def test_a_history_of_one_point_is_a_dot_in_the_middle() -> None:
    chart = history("h", "t", [Point("March", 10, "10")])
    assert attributes(chart, "circle", "dot", "cx", "cy") == [("50%", "50%")]
    assert "Always 10" in list(parsed(chart).itertext())


def test_factors_share_a_scale_and_have_their_neutral_mark() -> None:
    chart = factors("f", "t", [Factor("debt ratio", 90, 45, 90, "Owes much."), Factor("sector", 12, 24, 45)])
    bars_drawn = [
        (bar.get("width"), bar.get("fill")) for bar in elements(chart, "rect") if bar.get("fill", "").startswith("url")
    ]
    assert bars_drawn == [("100%", "url(#f-critical)"), ("13.33%", "url(#f-low)")]
    assert attributes(chart, "line", "neutral", "x1")[:2] == [("50%",), ("26.67%",)]
    assert "Owes much." in list(parsed(chart).itertext())


def cells(group: Element) -> list[str | None]:
    """Where the cells of a group begin."""
    return [cell.get("x") for cell in group]


def test_a_strip_has_a_cell_for_each_batch_at_its_place() -> None:
    chart = strip("s", "t", KEYS, [Lane("high", [(1, 1), (0, 1), (1, 2)]), Lane("standard", [(0, 2)])])
    assert [cells(group) for group in elements(chart, "g", "cells-done")] == [["0%", "50%", "75%"]]
    assert [cells(group) for group in elements(chart, "g", "cells-planned")] == [["25%"], ["0%", "50%"]]
    assert table_of(chart) == [["Lane", "planned", "done"], ["high", "1", "3"], ["standard", "2", "0"]]


def test_cells_too_narrow_to_see_are_drawn_as_one() -> None:
    chart = strip("s", "t", KEYS, [Lane("high", [(0, 2 * MAX_CELLS), (1, MAX_CELLS // 2)])])
    [worked] = elements(chart, "g", "cells-done")
    assert [(cell.get("x"), cell.get("width")) for cell in worked] == [("80%", "20%")]


def test_one_dead_batch_among_thousands_is_seen_where_it_is() -> None:
    keys = (Key("worked", "done"), Key("dead", "dead"))
    chart = strip("s", "t", keys, [Lane("high", [(0, 7_500), (1, 1), (0, 2_499)])], urgent="dead")
    [dead] = elements(chart, "g", "cells-dead")
    assert [(cell.get("x"), cell.get("width")) for cell in dead] == [("75%", "0.25%")]


def test_tones_of_one_chart_differ_without_colour() -> None:
    for together in (("low", "medium", "high", "critical"), SERIES, ("planned", "sent", "done", "dead", "cancelled")):
        grains = {(TONES[name].grain, TONES[name].grain is None and TONES[name].ground) for name in together}
        assert len(grains) == len(together)


@pytest.mark.parametrize(
    ("value", "whole", "drawn"),
    [(1, 3, "33.33%"), (0, 5, "0%"), (5, 0, "0%"), (7, 5, "100%"), (-1, 5, "0%"), (Decimal("0.5"), 2, "25%")],
)
def test_lengths(value: int, whole: int, drawn: str) -> None:
    assert percent(value, whole) == drawn
    assert f"{share(Fraction(value), whole):g}%" == drawn


def test_places_between_two_numbers() -> None:
    assert [place(value, 10, 20) for value in (10, 15, 20)] == [0, 50, 100]
    assert place(3, 3, 3) == 50


def test_texts_are_escaped_and_elements_are_not() -> None:
    assert tag("p", "<b>", Markup("<i/>"), class_="a", data_x='"', hidden=None) == (
        '<p class="a" data-x="&quot;">&lt;b&gt;<i/></p>'
    )
    assert joined(["&", tag("br")]) == "&amp;<br/>"
