"""The mapping of an import: where each field of a debtor comes from in another system's CSV.

What a file does not contain must be declared as a fixed value; nothing is ever guessed.
"""

import math
import re
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recovery_core.profile import Profile
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.fields import PortfolioName

FIELDS = DebtorRow._fields
OPTIONAL = tuple(name for name, field in Profile.model_fields.items() if not field.is_required())
REQUIRED = tuple(name for name in FIELDS if name not in OPTIONAL)

Reader = Callable[[Sequence[str]], str | int | None]
"""Returns a field's value in a record, None where the record is blank. Raises ValueError when it cannot be read."""

# A place is a column's name and nothing else: str.format would also accept attributes and widths of any size.
_PLACE = re.compile(r"\{([^{}]+)\}")


class ImportRefusedError(ValueError):
    """The file or its mapping cannot be used at all; nothing was imported."""


class Source(BaseModel):
    """Where one field comes from: exactly one of column, fixed, template and count_above."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="the value of a column as it stands")
    fixed: str | int | None = Field(None, description="the same declared value for every row")
    template: str | None = Field(None, description="text with {COLUMN} places")
    count_above: int | None = Field(None, description="how many of `columns` have a number above this")
    columns: list[str] = Field(default_factory=list)
    map: dict[str, str] = Field(default_factory=dict, description="what each value of the column means")

    @model_validator(mode="after")
    def _one_source(self) -> "Source":
        given = [name for name in ("column", "fixed", "template", "count_above") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of column, fixed, template, count_above")
        if (self.count_above is not None) != bool(self.columns):
            raise ValueError("count_above and columns belong together")
        if self.map and self.column is None:
            raise ValueError("map belongs to column")
        if self.template is not None and re.search(r"[{}]", _PLACE.sub("", self.template)):
            raise ValueError("write the places of a template as {COLUMN}")
        return self

    def reads(self) -> list[str]:
        """Return the columns of the file that this reads."""
        if self.column is not None:
            return [self.column]
        if self.template is not None:
            return _PLACE.findall(self.template)
        return self.columns

    def reader(self, header: list[str]) -> Reader:
        """Return a function that reads the field from a record under that header."""
        if self.column is not None:
            at = header.index(self.column)
            return self._translated(at) if self.map else lambda record: record[at].strip() or None
        if self.template is not None:
            template, places = self.template, {name: header.index(name) for name in self.reads()}
            return lambda record: _PLACE.sub(lambda place: record[places[place[1]]], template)
        if self.count_above is not None:
            border, columns = self.count_above, [(name, header.index(name)) for name in self.columns]
            return lambda record: sum(_number(name, record[at]) > border for name, at in columns)
        return lambda _record: self.fixed

    def _translated(self, at: int) -> Reader:
        def meaning(record: Sequence[str]) -> str:
            text = record[at].strip()
            if text not in self.map:
                raise ValueError(f"the mapping knows only {', '.join(self.map)} here")
            return self.map[text]

        return meaning


class SkipRule(BaseModel):
    """Rows to leave out on purpose: those where the column is at most `at_most`, or is just `equals`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str
    at_most: float | None = None
    equals: str | None = None

    @model_validator(mode="after")
    def _one_condition(self) -> "SkipRule":
        if (self.at_most is None) == (self.equals is None):
            raise ValueError("give exactly one of at_most, equals")
        return self

    def applies(self, cell: str) -> bool:
        """Return whether the row with that cell is skipped; a cell that is no number is never skipped."""
        text = cell.strip()
        if self.at_most is None:
            return text == self.equals
        try:
            return float(text) <= self.at_most
        except ValueError:
            return False


class ImportMapping(BaseModel):
    """A mapping file: which portfolio, how the file is written, where each field comes from, which rows to skip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portfolio: PortfolioName = "default"
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$')] = ","
    encoding: Literal["utf-8-sig", "latin-1", "cp1252"] = "utf-8-sig"
    fields: dict[str, Source]
    skip: list[SkipRule] = Field(default_factory=list)

    @model_validator(mode="after")
    def _right_fields(self) -> "ImportMapping":
        unknown = [name for name in self.fields if name not in FIELDS]
        if unknown:
            raise ValueError(f"unknown fields: {', '.join(unknown)}; known are {', '.join(FIELDS)}")
        missing = [name for name in REQUIRED if name not in self.fields]
        if missing:
            raise ValueError(
                f"no source for {', '.join(missing)}; declare a fixed value for what the file does not contain"
            )
        return self

    @property
    def absent(self) -> tuple[str, ...]:
        """The fields that the file does not contain: known debtors keep theirs."""
        return tuple(name for name in OPTIONAL if name not in self.fields)

    def check_columns(self, header: list[str]) -> None:
        """Raise ImportRefusedError for a file without a column that the mapping reads."""
        wanted = [name for source in self.fields.values() for name in source.reads()]
        wanted += [rule.column for rule in self.skip]
        missing = [name for name in dict.fromkeys(wanted) if name not in header]
        if missing:
            raise ImportRefusedError(f"the file has no column {', '.join(missing)}")


def read_mapping(path: Path) -> ImportMapping:
    """Read a mapping file (TOML). Raises ImportRefusedError naming what is wrong."""
    try:
        return ImportMapping.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise ImportRefusedError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportRefusedError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        raise ImportRefusedError(f"{path}: {place}: {first['msg']}" if place else f"{path}: {first['msg']}") from error


def own_columns(header: list[str], portfolio: str) -> ImportMapping:
    """Return the mapping of a file whose columns already have the fields' names. Raises ImportRefusedError."""
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise ImportRefusedError(f"the file has no column {', '.join(missing)}; write a mapping (--mapping)")
    fields = {name: Source(column=name) for name in FIELDS if name in header}
    return ImportMapping(portfolio=portfolio, fields=fields)


def _number(column: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{column} is not a number")
    return number
