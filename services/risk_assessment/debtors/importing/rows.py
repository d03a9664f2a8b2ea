"""The rows of a file to import: reads each record as a debtor, by the mapping, or says in which columns it is none."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError

from recovery_core.attributes import PREFIX, text_of
from recovery_core.money import Money, parse_money
from recovery_core.profile import LatePayments
from risk_assessment.debtors.balances import PAID
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.importing.cells import FieldReaders, without_credit
from risk_assessment.debtors.importing.mapping import (
    AMOUNTS,
    ATTRIBUTES,
    CATEGORIES,
    COUNT,
    OPTIONAL,
    ImportMapping,
    Reader,
)
from risk_assessment.debtors.importing.needs import AttributeReader, Needs
from risk_assessment.debtors.schemas import DebtorIn, DebtorPut
from risk_assessment.fields import ExternalRef
from service_kit.csv_files.header import Header
from service_kit.csv_files.table import Record
from service_kit.csv_files.texts import PLAIN_REFERENCE, in_our_words

DEBT, STATUS = "total_debt_amount", "payment_status"
# The types of a known debtor's fields, but for the reference, without which an import recognizes no debtor.
_TYPES = get_type_hints(DebtorPut, include_extras=True) | {"external_ref": ExternalRef, ATTRIBUTES: str | None}
# Each call that a row does without is measurable: this one and the method of a validator are a fiftieth of an import.
_new_row: Callable[[Iterable[Any]], DebtorRow] = partial(tuple.__new__, DebtorRow)


@lru_cache(maxsize=64)
def _validator(needed: frozenset[str]) -> TypeAdapter[tuple[Any, ...]]:
    """Return the validator of a row whose needed fields must not be empty."""
    # A tuple is validated in half the time of a model.
    row: Any = tuple[row_types(needed)]  # type: ignore[misc]
    return TypeAdapter(row, config=ConfigDict(use_enum_values=True))


def row_types(needed: frozenset[str]) -> tuple[Any, ...]:
    """Return the types of a row's fields: the API's, but that a needed one is never empty."""
    plain: dict[str, Any] = {"monthly_income": Money, COUNT: LatePayments, **CATEGORIES}
    types = _TYPES | {name: plain[name] for name in needed if name in plain}
    return tuple(types[name] for name in DebtorRow._fields)


class RowRejectedError(ValueError):
    """One row cannot become a debtor; `problems` are pairs of column and reason."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{column}: {reason}" for column, reason in problems))
        self.problems = problems


class RowReader:
    """Reads the records of one file."""

    def __init__(self, mapping: ImportMapping, header: Header, encoding: str, needs: Needs) -> None:
        self._mapping, self._header, self._encoding, self._needs = mapping, header, encoding, needs
        self._validated = _validator(needs.of_debtor()).validator.validate_python
        self._attributes = AttributeReader(mapping, needs, header)
        self._numbers = mapping.numbers
        self._skip = [(rule, header.place_of(rule.column)) for rule in mapping.skip]
        own = {name: source for name, source in mapping.fields.items() if not name.startswith(PREFIX)}
        raw = {name: source.reader(header, self._numbers) for name, source in own.items()}
        fields = FieldReaders(mapping, header)
        self._reference_at = fields.cell_of("external_ref")
        self.reference = fields.reference("external_ref", raw["external_ref"])
        self._signed = {name: fields.lenient(name, read) for name, read in raw.items()}
        self._lenient = self._signed | {DEBT: without_credit(self._signed[DEBT])}
        strict = {name: fields.strict(name, read, self._lenient[name]) for name, read in raw.items()}
        attributes = {ATTRIBUTES: self._attributes.text} if self._attributes else {}
        strict, lenient = strict | attributes, self._lenient | attributes
        self._in_order = [_or_default(name, strict.get(name)) for name in DebtorRow._fields]
        self._lenient_in_order = [_or_default(name, lenient.get(name)) for name in DebtorRow._fields]

    @property
    def has_rules(self) -> bool:
        """Whether rows may be skipped on purpose."""
        return bool(self._skip)

    def is_skipped(self, record: Sequence[str]) -> bool:
        """Return whether a rule of the mapping leaves this row out."""
        return any(rule.applies(record[at], self._numbers) for rule, at in self._skip)

    def plain_references(self, records: Sequence[Record]) -> list[str] | None:
        """Return the references of records that all have a plain one, None where a closer look is needed."""
        at = self._reference_at
        if at is None or self._skip or isinstance(records[0], str):
            return None
        found = [record[at] for record in records]
        return found if PLAIN_REFERENCE.fullmatch("".join(found)) and "" not in found else None

    def reference_or_none(self, record: Record) -> str | None:
        """Return the reference of a record, None for one that has none, is skipped, or will be rejected."""
        if isinstance(record, str) or self.is_skipped(record):
            return None
        try:
            found = self.reference(record)
        except ValueError:
            return None
        return None if found is None else str(found)

    def is_row(self, cells: Sequence[str]) -> bool:
        """Return whether cells, as many as there are columns, look like a row: their amount can be read."""
        try:
            self._signed[DEBT](cells)
        except ValueError:
            return False
        return True

    def says_paid(self, record: Sequence[str]) -> bool:
        """Return whether a record says that its debtor has paid."""
        try:
            return STATUS in self._lenient and self._lenient[STATUS](record) == PAID
        except ValueError:
            return False

    def debtor(self, record: Sequence[str]) -> DebtorRow | None:
        """Return the debtor in a record, None for one without any value. Raises RowRejectedError."""
        try:
            return _new_row(self._validated([read(record) for read in self._in_order]))
        except ValueError:
            return None if not any(map(str.strip, record)) else self._written_otherwise(record)

    def debtor_to_add(self, record: Sequence[str]) -> DebtorRow:
        """Return one of several rows to add, whose amounts may be negative. Raises RowRejectedError."""
        signed: dict[str, Any] = {}
        stand_in: dict[str, str] = {}
        for name in self._mapping.summed:
            if name in AMOUNTS:
                signed[name] = self.amount(name, record)
                stand_in[name] = "1"
        return self._field_by_field(record, stand_in)._replace(**signed)

    def rejected(self, name: str, reason: str) -> RowRejectedError:
        """Return the error for a problem with one field."""
        return RowRejectedError([(self.column(name), reason)])

    def column(self, name: str) -> str:
        """Return the column a field comes from, the field itself when it has none of its own."""
        source = self._mapping.fields.get(name)
        if source is None or source.column is None:
            return name
        return self._header.names[self._header.place_of(source.column)]

    def _written_otherwise(self, record: Sequence[str]) -> DebtorRow:
        """Return the debtor in a record with other spellings. Raises RowRejectedError."""
        try:
            return _new_row(self._validated([read(record) for read in self._lenient_in_order]))
        except ValueError:
            return self._field_by_field(record, {})

    def _field_by_field(self, record: Sequence[str], stand_in: dict[str, str]) -> DebtorRow:
        """Return the debtor in a record, but for the fields `stand_in`. Raises RowRejectedError with all problems."""
        values: dict[str, Any] = {"portfolio": self._mapping.portfolio}
        problems: dict[str, str] = {}
        for name, read in self._lenient.items():
            try:
                value = stand_in[name] if name in stand_in else read(record)
            except ValueError as error:
                problems[name] = str(error)
            else:
                values |= {} if value is None else {name: value}
        attributes, wrong = self._attributes.values(record)
        problems |= wrong
        values |= {ATTRIBUTES: attributes}
        for name in self._needs.of_debtor() | {"external_ref"}:
            if name not in values:
                problems.setdefault(name, "must not be empty")
        try:
            debtor = DebtorPut.model_validate(values)
        except ValidationError as error:
            problems = self._found_wrong(error, values) | problems
        if problems:
            ordered = [name for name in (*DebtorRow._fields, *self._mapping.fields) if name in problems]
            raise RowRejectedError([(self.column(name), problems[name]) for name in dict.fromkeys(ordered)])
        row = DebtorRow(*(getattr(debtor, name) for name in DebtorRow._fields))
        return row._replace(attributes=text_of(attributes))

    def _found_wrong(self, error: ValidationError, values: dict[str, Any]) -> dict[str, str]:
        found = {str(problem["loc"][0]): problem for problem in reversed(error.errors(include_url=False))}
        return {name: in_our_words(problem, values.get(name), self._encoding) for name, problem in found.items()}

    def amount(self, name: str, record: Sequence[str]) -> int:
        """Return an amount in minor units, below zero for a credit. Raises RowRejectedError."""
        try:
            text = str(self._signed[name](record) or "")
            minor = parse_money(text.removeprefix("-")) if text else None
        except ValueError as error:
            raise self.rejected(name, str(error)) from error
        if minor is None:
            raise self.rejected(name, "must not be empty")
        return -minor if text.startswith("-") else minor


def references_of(
    batches: Iterable[tuple[int, Sequence[Record]]], reader: RowReader
) -> Iterator[tuple[Sequence[int], Sequence[str]]]:
    """Yield the row numbers and the references of records that have one and are not skipped, many at a time."""
    for number, records in batches:
        plain = reader.plain_references(records)
        if plain is not None:
            yield range(number, number + len(records)), plain
            continue
        found = [(row, reader.reference_or_none(record)) for row, record in enumerate(records, number)]
        yield [row for row, one in found if one is not None], [one for _, one in found if one is not None]


def _or_default(name: str, read: Reader | None) -> Reader:
    """Return a reader of a field that is validated by itself, with its default where a file or a record has none."""
    default = DebtorIn.model_fields[name].default if name in OPTIONAL else None
    if read is None:
        return lambda _record: default
    if default is None:
        return read
    return lambda record: default if (value := read(record)) is None else value
