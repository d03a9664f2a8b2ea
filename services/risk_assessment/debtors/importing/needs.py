"""What a portfolio needs of a file: the facts of its policy, the attributes that it declares, and how each is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from sqlalchemy import Connection

from recovery_core.attributes import (
    PREFIX,
    AttributeType,
    Declaration,
    Declared,
    Value,
    declaration_of,
    read_value,
    text_of,
)
from recovery_core.policies.document import Policy
from risk_assessment.debtors.importing.mapping import ALWAYS, ImportMapping, Reader, Source, no_source_for
from risk_assessment.policies import queries as policies
from risk_assessment.policies.registry import PolicyRegistry
from service_kit.csv_files.header import Header
from service_kit.csv_files.kinds import ImportRefusedError
from service_kit.csv_files.numbers import OURS, NumberStyle
from service_kit.csv_files.texts import constant

ValueReader = Callable[[Sequence[str]], Value | None]
"""Returns the value of an attribute in a record, None where it is blank. Raises ValueError."""

_TRUTHS = {"TRUE": True, "YES": True, "1": True, "FALSE": False, "NO": False, "0": False}


@dataclass(frozen=True, slots=True)
class Needs:
    """The fields without which no debtor can be stored, and what the portfolio declares."""

    fields: frozenset[str]
    declared: str = "{}"
    declaration: Declaration = field(default_factory=dict)

    def lacking(self, given: Sequence[str]) -> list[str]:
        """Return the needed fields that are not given, in a stable order."""
        return [name for name in (*ALWAYS, *sorted(self.fields - set(ALWAYS))) if name not in given]

    def of_debtor(self) -> frozenset[str]:
        """The needed fields that are no attributes."""
        return frozenset(name for name in self.fields if not name.startswith(PREFIX))

    def attributes(self) -> list[str]:
        """The needed attributes, as fields."""
        return sorted(name for name in self.fields if name.startswith(PREFIX))

    def requires(self, attribute: str) -> bool:
        """Return whether every debtor must have a value of an attribute."""
        return PREFIX + attribute in self.fields


def needs_of(connection: Connection, registry: PolicyRegistry, portfolio: str) -> Needs:
    """Return what a portfolio needs; one that does not exist yet needs what RISK_POLICY does."""
    row = policies.active_policy(connection, portfolio)
    declared = "{}" if row is None else row.attributes
    declaration = declaration_of(declared)
    required = {PREFIX + name for name, one in declaration.items() if one.required}
    return Needs(needed_by(registry.active(connection, portfolio)) | required, declared, declaration)


def needed_by(policy: Policy) -> frozenset[str]:
    """Return the fields, and the attributes, that a policy gives no points without."""
    own = policy.factors.own().values()
    return policy.required_facts | {name for factor in own if factor.missing is None for name in factor.inputs}


def check_mapping(mapping: ImportMapping, needs: Needs) -> None:
    """Raise ImportRefusedError for a mapping that lacks what is needed, or declares values that no debtor can have."""
    if missing := needs.lacking(list(mapping.fields)):
        raise ImportRefusedError(no_source_for(missing))
    for name in mapping.attributes:
        declared = needs.declaration.get(name)
        if declared is None:
            known = ", ".join(needs.declaration) or "none"
            raise ImportRefusedError(f"{PREFIX}{name} is not declared in {mapping.portfolio}; declared: {known}")
        source = mapping.fields[PREFIX + name]
        for value in [*source.map.values(), *([] if source.fixed is None else [source.fixed])]:
            try:
                _parsed(declared, OURS, value)
            except ValueError as error:
                raise ImportRefusedError(f"{PREFIX}{name} {error}") from None


def absent_from(mapping: ImportMapping, needs: Needs) -> tuple[str, ...]:
    """Return the fields, and the attributes, that a file does not contain: known debtors keep theirs."""
    named = mapping.attributes
    others = [PREFIX + name for name in needs.declaration if name not in named] if named else []
    return (*mapping.absent, *others)


class AttributeReader:
    """Reads the attributes of one file. False where its mapping names none."""

    def __init__(self, mapping: ImportMapping, needs: Needs, header: Header) -> None:
        self._needs, self._readers = needs, _value_readers(mapping, needs, header)

    def __bool__(self) -> bool:
        """Return whether there is any attribute to read."""
        return bool(self._readers)

    def text(self, record: Sequence[str]) -> str | None:
        """Return the attributes in a record as they are stored. Raises ValueError."""
        values, problems = self.values(record)
        if problems:
            raise ValueError(", ".join(problems))
        return text_of(values)

    def values(self, record: Sequence[str]) -> tuple[dict[str, Value], dict[str, str]]:
        """Return the attributes in a record, and what is wrong with others, by field."""
        values: dict[str, Value] = {}
        problems: dict[str, str] = {}
        for name, read in self._readers.items():
            try:
                value = read(record)
            except ValueError as error:
                problems[PREFIX + name] = str(error)
                continue
            if value is not None:
                values[name] = value
            elif self._needs.requires(name):
                problems[PREFIX + name] = "must not be empty"
        return values, problems


def _value_readers(mapping: ImportMapping, needs: Needs, header: Header) -> Mapping[str, ValueReader]:
    """Return a reader of each attribute that the mapping names."""
    numbers, found = mapping.numbers, {}
    for name in mapping.attributes:
        source, declared = mapping.fields[PREFIX + name], needs.declaration[name]
        style = OURS if source.fixed is not None or source.map else numbers
        found[name] = partial(_value, source.reader(header, numbers), declared, style, _blank_of(source, header))
    return found


def _blank_of(source: Source, header: Header) -> int | None:
    """Return which cell is looked at for a blank: a map has no meaning for one."""
    return header.place_of(source.column) if source.column is not None else None


def _value(
    read: Reader, declared: Declared, style: NumberStyle, cell: int | None, record: Sequence[str]
) -> Value | None:
    if cell is not None and not record[cell].strip():
        return None
    found = read(record)
    return None if found is None else _parsed(declared, style, found)


def _parsed(declared: Declared, style: NumberStyle, found: str | int) -> Value:
    value: Any = found
    if isinstance(found, str):
        match declared.type:
            case AttributeType.INTEGER:
                value = style.count(found)
            case AttributeType.MONEY:
                value = style.plain(found)
            case AttributeType.BOOLEAN:
                value = _TRUTHS.get(constant(found), found)
            case AttributeType.CATEGORY:
                value = found if found in declared.values or constant(found) not in declared.values else constant(found)
    elif declared.type == AttributeType.BOOLEAN:
        value = {0: False, 1: True}.get(found, found)
    return read_value(declared, value)
