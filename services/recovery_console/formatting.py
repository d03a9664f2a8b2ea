"""How numbers, money and times read: grouped for the reader's language, exact, and never rounded by a float.

Times are written in UTC with their exact instant. A small script in the page shows them in the reader's zone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_HALF_EVEN, Decimal

from markupsafe import Markup

NO_VALUE = "–"
"""What stands in a cell that has no value."""
_NARROW = "\u202f"
_SPACE = "\u00a0"
# Group and decimal separators as the Unicode CLDR has them, by language and where needed by region.
_SEPARATORS: Mapping[str, tuple[str, str]] = {
    "en": (",", "."),
    **dict.fromkeys(("de", "nl", "es", "it", "pt", "da", "tr", "id", "el", "hr", "sl", "ro", "vi"), (".", ",")),
    **dict.fromkeys(("fr",), (_NARROW, ",")),
    **dict.fromkeys(
        ("cs", "sk", "pl", "ru", "uk", "bg", "fi", "sv", "nb", "no", "hu", "et", "lv", "lt"), (_SPACE, ",")
    ),
    **dict.fromkeys(("ja", "zh", "ko", "th", "he", "hi"), (",", ".")),
    "de-ch": ("’", "."),
    "de-at": (_SPACE, ","),
    "en-za": (_SPACE, ","),
    "es-mx": (",", "."),
    "pt-pt": (_SPACE, ","),
}
_GROUPS_OF_TWO = {"en-in", "hi", "hi-in"}
_UNITS = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


@dataclass(frozen=True, slots=True)
class Reader:
    """The language of a reader, as far as it changes how numbers look."""

    group: str = ","
    decimal: str = "."
    by_two: bool = False

    @classmethod
    def of(cls, accept_language: str) -> "Reader":
        """Return the reader of the first language in `Accept-Language` that is known, English otherwise."""
        for part in accept_language.lower().split(","):
            tag = part.partition(";")[0].strip()
            separators = _SEPARATORS.get(tag) or _SEPARATORS.get(tag.partition("-")[0])
            if separators:
                return cls(*separators, by_two=tag in _GROUPS_OF_TWO)
        return cls()

    def number(self, value: int | str | Decimal | None) -> str:
        """Return a number with its groups: 1000000 as 1,000,000, decimals as they are given."""
        if value is None or value == "":
            return NO_VALUE
        text = str(value)
        sign, digits = ("−", text[1:]) if text.startswith("-") else ("", text)
        whole, _, rest = digits.partition(".")
        return sign + self._grouped(whole) + (self.decimal + rest if rest else "")

    def signed(self, value: int) -> str:
        """Return a whole number with its sign, 0 without one: 1745 as +1,745."""
        return f"+{self.number(value)}" if value > 0 else self.number(value)

    def counted(self, count: int, one: str, many: str | None = None) -> str:
        """Return a number with its noun: 1 batch, 1,000 batches."""
        return f"{self.number(count)} {one if count == 1 else many or f'{one}s'}"

    def plain_number(self, text: str) -> str:
        """Return a number as the APIs read it: without groups, with a decimal point. What is none stays as it is."""
        whole, _, decimals = text.partition(".")
        if whole.isdecimal() and len(decimals) < 3 and (not decimals or decimals.isdecimal()):
            return text
        bare = "".join(text.split())
        for group in (self.group, "’", "'"):
            bare = bare.replace(group, "")
        return bare.replace(self.decimal, ".")

    def money(self, amount: str | int | Decimal | None, currency: str | None) -> str:
        """Return an amount with its currency, if the portfolio has one: 1,234.50 EUR."""
        if amount is None:
            return NO_VALUE
        return f"{self.number(amount)}{_SPACE}{currency}" if currency else self.number(amount)

    def short(self, amount: str | int | Decimal | None) -> str:
        """Return an amount to three digits: 34012345678.00 as 34.0 B. Halves go to the even digit."""
        if amount is None:
            return NO_VALUE
        exact = Decimal(str(amount))
        for size, unit in _UNITS:
            scaled = exact / size
            if abs(scaled) >= 1:
                places = Decimal(1) if abs(scaled) >= 100 else Decimal("0.1")
                return f"{self.number(scaled.quantize(places, ROUND_HALF_EVEN))}{_SPACE}{unit}"
        return self.number(exact.quantize(Decimal(1), ROUND_HALF_EVEN))

    def short_money(self, amount: str | int | Decimal | None, currency: str | None) -> str:
        """Return an amount to three digits with its currency: 34.0 B EUR."""
        text = self.short(amount)
        return f"{text}{_SPACE}{currency}" if currency and text != NO_VALUE else text

    def percent(self, share: str | int | Decimal | None) -> str:
        """Return a share that is given in percent: 14.20 as 14.20 %."""
        return NO_VALUE if share is None else f"{self.number(share)}{_SPACE}%"

    def _grouped(self, whole: str) -> str:
        if not whole.isdecimal() or len(whole) <= 3:
            return whole
        head, tail = whole[:-3], whole[-3:]
        size = 2 if self.by_two else 3
        first = len(head) % size or size
        groups = [head[:first], *(head[at : at + size] for at in range(first, len(head), size))]
        return self.group.join([*groups, tail])


def whole(text: str) -> int | str:
    """Return a whole number where the text is one; another text is refused by the API, in its words."""
    return int(text) if text.isdecimal() and len(text) < 20 else text


def moment(text: str | None) -> Markup | str:
    """Return an instant, given as ISO 8601, as a `time` element: in UTC, until a script shows the reader's zone."""
    if not text:
        return NO_VALUE
    at = datetime.fromisoformat(text)
    exact = at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    shown = at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    return Markup('<time datetime="{exact}" title="{exact}">{shown}</time>').format(exact=exact, shown=shown)


def seconds(count: float | None) -> str:
    """Return a duration in words: 4 s, 3 min, 2 h 5 min, 3 d."""
    if count is None:
        return NO_VALUE
    whole = int(count)
    if whole < 60:
        return f"{whole}{_SPACE}s"
    if whole < 3_600:
        return f"{whole // 60}{_SPACE}min"
    if whole < 86_400:
        return f"{whole // 3600}{_SPACE}h {whole % 3600 // 60}{_SPACE}min"
    return f"{whole // 86_400}{_SPACE}d"
