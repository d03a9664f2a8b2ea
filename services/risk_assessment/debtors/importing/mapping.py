"""The mapping of an import: how another system's CSV is written, and where each field of a debtor comes from in it.

What a file does not contain must be declared as a fixed value; nothing is ever guessed.
"""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    field_validator,
    model_validator,
)

from recovery_core.attributes import PREFIX
from recovery_core.money import Money
from recovery_core.profile import (
    ContractType,
    EmploymentStatus,
    FamilySituation,
    IndustrySector,
    LatePayments,
    PaymentStatus,
    Profile,
)
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing.mapping_words import what_is_wrong
from risk_assessment.fields import PortfolioName
from service_kit.csv_files.header import Header, Style, loosely
from service_kit.csv_files.kinds import ImportRefusedError, decode_text, encoding_named
from service_kit.csv_files.numbers import OURS, NumberStyle
from service_kit.csv_files.texts import in_our_words

ALWAYS = ("external_ref", "name", "total_debt_amount")
"""The fields that every debtor has."""
DEFAULT_PORTFOLIO = "default"
ATTRIBUTES = "attributes"
FIELDS = tuple(name for name in DebtorRow._fields if name != ATTRIBUTES)
OPTIONAL = (
    "person_ref",
    *(name for name, field in Profile.model_fields.items() if name != ATTRIBUTES and not field.is_required()),
)
"""The fields that a debtor may lack, as far as its portfolio's policy does not need them."""
REFERENCES = ("external_ref", "person_ref")
AMOUNTS = ("total_debt_amount", "monthly_income")
COUNT = "late_payments_count"
NUMBERS = (*AMOUNTS, COUNT)
CATEGORIES: Mapping[str, type[StrEnum]] = {
    "employment_status": EmploymentStatus,
    "contract_type": ContractType,
    "industry_sector": IndustrySector,
    "family_situation": FamilySituation,
    "payment_status": PaymentStatus,
}

Reader = Callable[[Sequence[str]], str | int | None]
"""Returns a field's value in a record, None where the record is blank. Raises ValueError when it cannot be read."""

# A place is a column's name and nothing else: str.format would also accept attributes and widths of any size.
_PLACE = re.compile(r"\{([^{}]+)\}")
_AMOUNT: TypeAdapter[int] = TypeAdapter(Money)
_COUNT: TypeAdapter[int] = TypeAdapter(LatePayments)


class Source(BaseModel):
    """Where one field comes from: exactly one of column, fixed, template and count_above."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    column: str | None = Field(None, description="the value of a column as it stands")
    fixed: str | int | None = Field(None, description="the same declared value for every row")
    template: str | None = Field(None, description="text with {COLUMN} places")
    count_above: int | None = Field(None, description="how many of `columns` have a number above this")
    columns: list[str] = Field(default_factory=list)
    map: dict[str, str] = Field(default_factory=dict, description="what each value of the column means")
    sum: bool = Field(False, description="add the values of all rows with the same reference")

    @model_validator(mode="after")
    def _one_source(self) -> "Source":
        given = [name for name in ("column", "fixed", "template", "count_above") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError("give exactly one of column, fixed, template, count_above")
        if (self.count_above is not None) != bool(self.columns):
            raise ValueError("count_above and columns belong together")
        if self.map and self.column is None:
            raise ValueError("map belongs to column")
        if self.sum and self.column is None and self.count_above is None:
            raise ValueError("sum belongs to column or count_above")
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

    def reader(self, header: Header, style: NumberStyle) -> Reader:
        """Return a function that reads the field from a record under that header."""
        if self.column is not None:
            at = header.place_of(self.column)
            return self._translated(at) if self.map else lambda record: record[at].strip() or None
        if self.template is not None:
            template, places = self.template, {name: header.place_of(name) for name in self.reads()}
            return lambda record: _PLACE.sub(lambda place: record[places[place[1]]], template)
        if self.count_above is not None:
            border, columns = self.count_above, [(name, header.place_of(name)) for name in self.columns]
            return lambda record: sum(_number(name, record[at], style) > border for name, at in columns)
        return lambda _record: self.fixed

    def _translated(self, at: int) -> Reader:
        loose = _unambiguous(self.map)

        def meaning(record: Sequence[str]) -> str:
            text = record[at].strip()
            found = self.map.get(text, loose.get(loosely(text)))
            if found is None:
                raise ValueError(f"the mapping knows only {', '.join(self.map)} here")
            return found

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

    def applies(self, cell: str, style: NumberStyle) -> bool:
        """Return whether the row with that cell is skipped; a cell that is no number is never skipped."""
        text = cell.strip()
        if self.at_most is None:
            return text == self.equals
        try:
            return style.number(text) <= self.at_most
        except ValueError:
            return False


class ImportMapping(BaseModel):
    """A mapping file: which portfolio, how the file is written, where each field comes from, which rows to skip."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    portfolio: PortfolioName = DEFAULT_PORTFOLIO
    delimiter: Annotated[str, Field(pattern=r'^[^"\r\n]$', description="what separates columns")] | None = None
    encoding: Annotated[str, BeforeValidator(lambda name: encoding_named(str(name)))] | None = None
    skip_rows: Annotated[int, Field(ge=0, le=1_000, description="lines above the header")] | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal["", ".", ",", " ", "'"] = ""
    fields: dict[str, Source]
    skip: list[SkipRule] = Field(default_factory=list)

    @field_validator("fields", mode="before")
    @classmethod
    def _with_attributes(cls, given: Any) -> Any:
        """Read `attributes.home = …`, which TOML reads as a table of its own, as `"attributes.home" = …`."""
        if not isinstance(given, dict) or not isinstance(given.get(ATTRIBUTES), dict):
            return given
        others = {name: source for name, source in given.items() if name != ATTRIBUTES}
        return others | {PREFIX + name: source for name, source in given[ATTRIBUTES].items()}

    @model_validator(mode="after")
    def _right_fields(self) -> "ImportMapping":
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands must differ")
        unknown = [name for name in self.fields if name not in FIELDS and not name.startswith(PREFIX)]
        if unknown:
            known = f"{', '.join(FIELDS)}, and {PREFIX}NAME"
            raise ValueError(f"unknown fields: {', '.join(unknown)}; known are {known}")
        if missing := [name for name in ALWAYS if name not in self.fields]:
            raise ValueError(no_source_for(missing))
        for name, source in self.fields.items():
            _check_declared(name, source)
        return self

    @property
    def absent(self) -> tuple[str, ...]:
        """The fields that the file does not contain: known debtors keep theirs."""
        absent = tuple(name for name in OPTIONAL if name not in self.fields)
        return absent if self.attributes else (*absent, ATTRIBUTES)

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names of the attributes that the file contains."""
        return tuple(name.removeprefix(PREFIX) for name in self.fields if name.startswith(PREFIX))

    @property
    def summed(self) -> tuple[str, ...]:
        """The fields whose values are added over the rows of one reference."""
        return tuple(name for name in NUMBERS if name in self.fields and self.fields[name].sum)

    @property
    def style(self) -> Style:
        """How the file is written."""
        return Style(self.encoding, self.delimiter, self.skip_rows)

    @property
    def numbers(self) -> NumberStyle:
        """How the file writes numbers."""
        return NumberStyle(self.decimal, self.thousands)

    @property
    def wanted(self) -> list[str]:
        """The columns that the file must have."""
        names = [name for source in self.fields.values() for name in source.reads()]
        return list(dict.fromkeys(names + [rule.column for rule in self.skip]))


def no_source_for(fields: Sequence[str]) -> str:
    """Return what to do about fields that a mapping lacks."""
    return f"no source for {', '.join(fields)}; declare a fixed value for what the file does not contain"


def read_mapping(path: Path) -> ImportMapping:
    """Read a mapping file (TOML). Raises ImportRefusedError naming what is wrong."""
    try:
        return ImportMapping.model_validate(tomllib.loads(decode_text(path.read_bytes())))
    except OSError as error:
        raise ImportRefusedError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ImportRefusedError(f"{path} is not TOML: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        what = what_is_wrong(first)
        raise ImportRefusedError(f"{path}: {place}: {what}" if place else f"{path}: {what}") from error


def own_columns(header: Header) -> ImportMapping:
    """Return the mapping of a file whose columns have the fields' names."""
    own = [name for name in FIELDS if header.find(name) is not None]
    own += [name for name in header.names if name.startswith(PREFIX)]
    return ImportMapping(fields={name: Source(column=name) for name in own})


def _check_declared(name: str, source: Source) -> None:
    """Raise ValueError for a declared value that no debtor can have."""
    if source.sum and name not in NUMBERS:
        raise ValueError(f"{name} cannot be added over rows; {', '.join(NUMBERS)} can")
    declared = list(source.map.values()) + ([] if source.fixed is None else [source.fixed])
    for value in declared:
        if name in CATEGORIES and value not in list(CATEGORIES[name]):
            raise ValueError(f"{name} must be one of {', '.join(CATEGORIES[name])}")
        try:
            if name in AMOUNTS:
                _AMOUNT.validate_python(value)
            if name == COUNT:
                _COUNT.validate_python(OURS.count(str(value)))
        except ValidationError as error:
            raise ValueError(f"{name} {in_our_words(error.errors()[0], value, 'utf-8')}") from None
        except ValueError as error:
            raise ValueError(f"{name} {error}") from None


def _unambiguous(meanings: dict[str, str]) -> dict[str, str]:
    """Return the meanings by loose spelling, without those that two different spellings share."""
    loose: dict[str, set[str]] = {}
    for text, meaning in meanings.items():
        loose.setdefault(loosely(text), set()).add(meaning)
    return {text: found.pop() for text, found in loose.items() if text and len(found) == 1}


def _number(column: str, text: str, style: NumberStyle) -> float:
    try:
        number = style.number(text)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise ValueError(f"{column} is not a number")
    return number
