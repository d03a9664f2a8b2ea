"""Elements of HTML and SVG as text, safe by construction: whatever is not an element itself is escaped."""

from collections.abc import Iterable
from html import escape

Attribute = str | int | None
EMPTY = frozenset({"rect", "path", "line", "circle", "polyline", "polygon", "br"})


class Markup(str):
    """Text that is markup already. Templates that know `__html__`, as Jinja does, do not escape it."""

    __slots__ = ()

    def __html__(self) -> str:
        return str(self)


def tag(name: str, *children: str, **attributes: Attribute) -> Markup:
    """Return an element. `class_` is the attribute class, `stroke_width` is stroke-width; None leaves one out."""
    shown = "".join(
        f' {_attribute(key)}="{escape(str(value))}"' for key, value in attributes.items() if value is not None
    )
    if name in EMPTY and not children:
        return Markup(f"<{name}{shown}/>")
    return Markup(f"<{name}{shown}>{joined(children)}</{name}>")


def joined(parts: Iterable[str]) -> Markup:
    """Return these parts one after the other, texts among them escaped."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def _attribute(name: str) -> str:
    return name.rstrip("_").replace("_", "-")
