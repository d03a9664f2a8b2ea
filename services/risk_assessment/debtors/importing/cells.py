"""Readers of single fields: the quick ones, and those that take every harmless spelling."""

from collections.abc import Callable, Sequence
from functools import partial

from recovery_core.money import parse_money
from risk_assessment.debtors.importing.mapping import (
    AMOUNTS,
    CATEGORIES,
    COUNT,
    NUMBERS,
    REFERENCES,
    ImportMapping,
    Reader,
)
from service_kit.csv_files.header import Header
from service_kit.csv_files.texts import PLAIN_REFERENCE, constant, reference, visible_reference


class FieldReaders:
    """Makes the readers of the fields of one file."""

    def __init__(self, mapping: ImportMapping, header: Header) -> None:
        self._mapping, self._header, self._numbers = mapping, header, mapping.numbers

    def reference(self, name: str, read: Reader) -> Reader:
        """Return the reader of a reference."""
        # A template is put together on purpose, so only what cannot be seen in it is checked.
        check = reference if self._mapping.fields[name].column is not None else visible_reference
        return _reference(read, self.cell_of(name), check)

    def strict(self, name: str, read: Reader, lenient: Reader) -> Reader:
        """Return the quick reader of a field, for values as the API takes them."""
        if name in NUMBERS and not self._numbers.is_ours:
            return lenient
        at = self.cell_of(name)
        if name == COUNT:
            return (lambda record: _count(read(record))) if at is None else _remembering(at, _count)
        return read if name in AMOUNTS else lenient

    def lenient(self, name: str, read: Reader) -> Reader:
        """Return the reader of a field that takes every harmless spelling."""
        at = self.cell_of(name)
        if name in REFERENCES:
            return self.reference(name, read)
        if name in CATEGORIES:
            return read if at is None else _remembering(at, partial(_category, frozenset(CATEGORIES[name])))
        if name in NUMBERS and self._mapping.fields[name].fixed is None:
            parse: Callable[[str], str | int] = self._numbers.plain if name in AMOUNTS else self._numbers.count
            return lambda record: parse(value) if isinstance(value := read(record), str) else value
        return (lambda record: _count(read(record))) if name == COUNT else read

    def cell_of(self, name: str) -> int | None:
        """Return which cell of a record has the field as it stands."""
        source = self._mapping.fields[name]
        return None if source.column is None or source.map else self._header.place_of(source.column)


def _reference(read: Reader, at: int | None, check: Callable[[str], str | None]) -> Reader:
    def checked(record: Sequence[str]) -> str | int | None:
        if at is not None and PLAIN_REFERENCE.fullmatch(cell := record[at]):
            return cell
        value = read(record)
        return None if value is None else check(str(value))

    return checked


class _Remembered(dict[str, str | int | None]):
    """What the first thousand different cells of a column mean. Categories and counts have few."""

    def __init__(self, meaning: Callable[[str], str | int | None]) -> None:
        super().__init__()
        self._meaning = meaning

    def __missing__(self, cell: str) -> str | int | None:
        found = self._meaning(cell.strip())
        if len(self) < 1_000:
            self[cell] = found
        return found


def _remembering(at: int, meaning: Callable[[str], str | int | None]) -> Reader:
    met = _Remembered(meaning)
    return lambda record: met[record[at]]


def _category(known: frozenset[str], text: str) -> str | None:
    """Return the category that a text spells, the text itself when it spells none."""
    return found if (found := constant(text)) in known else text or None


def without_credit(read: Reader) -> Reader:
    """Return a reader of a balance for which a credit is 0: who has one owes nothing."""

    def balance(record: Sequence[str]) -> str | int | None:
        value = read(record)
        if isinstance(value, str) and value.startswith("-"):
            parse_money(value[1:])
            return "0"
        return value

    return balance


def _count(value: str | int | None) -> str | int | None:
    """Parse a whole number, which is text in CSV; anything else is left for the validation to reject."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    return None if value == "" else value
