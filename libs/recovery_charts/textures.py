"""How parts of a chart differ: by colour and by texture, so that they differ in black and white too.

A tone is a colour with its texture. The page's style sheet may set the colours by `.tone-NAME.ground` and
`.tone-NAME.grain`; without one, those below are used.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from recovery_charts.markup import Markup, tag

SIDE = 8  # of a texture's tile, in pixels


@dataclass(frozen=True, slots=True)
class Tone:
    """A colour, and the lines on it as the path of one tile; None is plain."""

    ground: str
    grain: str | None
    ink: str = "#ffffff"


_RISING, _FALLING = "M-2 2 2-2M0 8 8 0M6 10 10 6", "M-2 6 2 10M0 0 8 8M6-2 10 2"
_LEVEL, _UPRIGHT, _DOTS = "M0 4H8", "M4 0V8", "M3 4H5"
TONES = {
    "low": Tone("#2f7d4f", _DOTS),
    "medium": Tone("#8a6d00", _RISING),
    "high": Tone("#b4530a", _RISING + _FALLING),
    "critical": Tone("#a11d2b", None),
    "plain": Tone("#3b5b92", None),
    "first": Tone("#3b5b92", None),
    "second": Tone("#0f7b7b", _RISING),
    "third": Tone("#7a4fa3", _LEVEL),
    "fourth": Tone("#8a6d00", _DOTS),
    "fifth": Tone("#a33d6f", _FALLING),
    "sixth": Tone("#4f5b66", _UPRIGHT),
    "planned": Tone("#ffffff", None),
    "sent": Tone("#c9d6ea", _RISING, "#3b5b92"),
    "done": Tone("#3b5b92", None),
    "dead": Tone("#f4d3d6", _RISING + _FALLING, "#a11d2b"),
    "cancelled": Tone("#e4e6e9", _DOTS, "#4f5b66"),
}
SERIES = ("first", "second", "third", "fourth", "fifth", "sixth")


def fill(scope: str, tone: str) -> str:
    """Return the value of `fill` for a tone that `textures` of the same scope has defined."""
    return f"url(#{scope}-{tone})"


def textures(scope: str, tones: Iterable[str]) -> Markup:
    """Return the definitions of these tones. The scope keeps the ids of several charts of a page apart."""
    patterns = (_pattern(scope, tone) for tone in dict.fromkeys(tones))
    return tag("svg", tag("defs", *patterns), class_="chart-textures", width=0, height=0, aria_hidden="true")


def _pattern(scope: str, name: str) -> Markup:
    tone = TONES[name]
    ground = tag("rect", width=SIDE, height=SIDE, class_=f"tone-{name} ground", fill=tone.ground)
    grain = tag("path", d=tone.grain, class_=f"tone-{name} grain", stroke=tone.ink, stroke_width=2)
    parts = [ground] if tone.grain is None else [ground, grain]
    return tag("pattern", *parts, id=f"{scope}-{name}", width=SIDE, height=SIDE, patternUnits="userSpaceOnUse")
