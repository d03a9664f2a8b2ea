"""Numbers as files write them: harmless spellings are read, the others are refused in words that say what to do.

What is read is unambiguous or declared; nothing is ever guessed.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from service_kit.csv_files.texts import SHORTENED, not_text, trimmed, undecodable

PLAIN_NUMBER = "must be a plain decimal number such as 1234.50"
WHOLE_NUMBER = "must be a whole number"

_GROUPS = {" ": "[ \u00a0\u2009\u202f]", "'": "['\u2019]", ".": r"\.", ",": ","}
_CURRENCIES = re.compile(r"[A-Za-z]{1,4}\.?\s*[+-]?[0-9.,' ]+|[+-]?[0-9.,' ]+\s*[A-Za-z]{1,4}\.?")
# How amounts look that another setting would read; the first that fits gives the advice.
_OTHER_STYLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[+-]?\d{1,3}(?:\.\d{3})+,\d+"), 'set decimal = "," and thousands = "." in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:,\d{2,3})*,\d{3}\.\d+"), 'set thousands = "," in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:,\d{3}){2,}"), 'set thousands = "," in the mapping'),
    (re.compile(r"[+-]?\d{1,3},\d{3}"), 'set thousands = "," or decimal = "," in the mapping, whichever is meant'),
    (re.compile(r"[+-]?\d*,\d+"), 'set decimal = "," in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:\.\d{3}){2,}"), 'set decimal = "," and thousands = "." in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:\s\d{3})+(?:\.\d+)?"), 'set thousands = " " in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:\s\d{3})+,\d+"), 'set decimal = "," and thousands = " " in the mapping'),
    (re.compile(r"[+-]?\d{1,3}(?:['\u2019]\d{3})+(?:\.\d+)?"), 'set thousands = "\'" in the mapping'),
)


@dataclass(frozen=True)
class NumberStyle:
    """How a file writes numbers: the decimal sign, and what separates thousands, if anything does."""

    decimal: str = "."
    thousands: str = ""

    @property
    def is_ours(self) -> bool:
        """Whether numbers are written as the API writes them."""
        return self == NumberStyle()

    def plain(self, text: str) -> str:
        """Return a number as plain decimal text, with no more places than it needs. Raises ValueError."""
        match = self._pattern.fullmatch(trimmed(text))
        if match is None:
            raise ValueError(self._what_is_wrong(trimmed(text)))
        grouped = match["whole"]
        whole = (re.sub("[^0-9]", "", grouped) if self.thousands else grouped).lstrip("0") or "0"
        decimals = (match["decimals"] or "").rstrip("0")
        sign = "-" if match["sign"] == "-" else ""
        return f"{sign}{whole}.{decimals}" if decimals else f"{sign}{whole}"

    def count(self, text: str) -> int:
        """Return a whole number; `3.0` is one. Raises ValueError."""
        try:
            plain = self.plain(text)
        except ValueError as error:
            raise ValueError(str(error).replace(PLAIN_NUMBER, WHOLE_NUMBER)) from None
        if "." in plain:
            raise ValueError(WHOLE_NUMBER)
        return int(plain[:20])  # longer ones are far too large in any case

    def number(self, text: str) -> float:
        """Return a number to compare with. Raises ValueError."""
        try:
            return float(self.plain(text))
        except ValueError:
            if self.is_ours:
                return float(text)  # also 1E+05, which is exact enough for a border
            raise

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        mark = _GROUPS.get(self.thousands)
        grouped = rf"[0-9]{{1,3}}(?:{mark}[0-9]{{2,3}})*{mark}[0-9]{{3}}|" if mark else ""
        sign = re.escape(self.decimal)
        return re.compile(
            rf"(?P<sign>[+-]?)(?=[0-9]|{sign}[0-9])(?P<whole>{grouped}[0-9]*)(?:{sign}(?P<decimals>[0-9]*))?"
        )

    def _what_is_wrong(self, text: str) -> str:
        if not text or undecodable(text):
            return not_text("utf-8") if text else "must not be empty"
        if SHORTENED.fullmatch(text):
            return f"{PLAIN_NUMBER}: a spreadsheet shortened it to powers of ten, so digits may be lost"
        if re.fullmatch(r"\(.*\)|.*[0-9]-", text):
            return "must have its minus in front, such as -12.00"
        return f"{PLAIN_NUMBER}{self._advice(text)}" if self.is_ours else self._as_declared()

    def _as_declared(self) -> str:
        grouped = f"1{self.thousands}234{self.decimal}50" if self.thousands else f"1234{self.decimal}50"
        return f"must be a number such as {grouped}, as the mapping says"

    @staticmethod
    def _advice(text: str) -> str:
        if any(unicodedata.category(char) == "Sc" for char in text) or _CURRENCIES.fullmatch(text):
            return ": write it without a currency"
        advice = next((advice for pattern, advice in _OTHER_STYLES if pattern.fullmatch(text)), None)
        return f": {advice}" if advice else ""


OURS = NumberStyle()
