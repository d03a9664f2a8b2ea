"""What a portfolio declares, against its debtors and against a policy: nothing may contradict it."""

from collections.abc import Iterator, Mapping
from typing import Any

from sqlalchemy import Connection, literal_column, select

from recovery_core.attributes import (
    NAMED,
    NUMBERS,
    PREFIX,
    Declaration,
    Declared,
    declaration_of,
    read_value,
    values_of,
)
from recovery_core.policies.document import Policy
from recovery_core.policies.factors import OwnBandFactor, OwnValueFactor, Ratio
from recovery_core.policies.parts import NumberRange
from risk_assessment.debtors.tables import debtors

CHUNK = 5_000


class DeclarationContradictedError(Exception):
    """Debtors, or the active policy, contradict the attributes that a portfolio would declare."""

    def __init__(self, problems: list[tuple[str, str]], count: int | None = None) -> None:
        self.field_errors, self.field_errors_total = problems, len(problems)
        self.problem_members = {} if count is None else {"debtors": count}
        super().__init__("; ".join(f"{field}: {message}" for field, message in problems[:3]))


class PolicyUndeclaredError(ValueError):
    """A policy asks for attributes that the portfolio does not declare as the policy reads them."""

    places_are_stored = True

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        self.field_errors, self.field_errors_total = problems, len(problems)
        super().__init__("the policy does not fit the attributes that the portfolio declares")


def check_policy(policy: Policy, declaration: Declaration) -> None:
    """Raise PolicyUndeclaredError naming each place of a policy that a declaration does not fit."""
    if problems := [(place, message) for place, _, message in policy_problems(policy, declaration)]:
        raise PolicyUndeclaredError(problems)


def check_declaration(connection: Connection, portfolio: str, before: str, after: str, policy: Policy) -> None:
    """Raise DeclarationContradictedError where debtors, or the active policy, contradict a new declaration."""
    old, new = declaration_of(before), declaration_of(after)
    changed = {name for name in old if old[name] != new.get(name)}
    # Of what was never declared the policy knew before: it is not this change that contradicts it.
    asked = [
        (PREFIX + name, f"is asked for by the active policy, {policy.name}, at {place}: {message}")
        for place, name, message in policy_problems(policy, new)
        if name in changed
    ]
    if asked:
        raise DeclarationContradictedError(asked)
    stricter = {name: new.get(name) for name in changed if _is_stricter(old[name], new.get(name))}
    required = [name for name, one in new.items() if one.required and not (name in old and old[name].required)]
    if stricter or required:
        _check_debtors(connection, portfolio, stricter, required)


def policy_problems(policy: Policy, declaration: Declaration) -> Iterator[tuple[str, str, str]]:
    """Yield each place of a policy that does not fit a declaration, the attribute, and what is wrong."""
    for name, factor in policy.factors.own().items():
        place = f"factors.{name}"
        if isinstance(factor, OwnValueFactor):
            attribute = factor.input.removeprefix(PREFIX)
            yield from _value_problems(place, factor, attribute, declaration.get(attribute))
        else:
            yield from _number_problems(place, factor, declaration)
    for index, row in enumerate(policy.treatment):
        for attribute, condition in (row.attributes or {}).items():
            wanted = NUMBERS if isinstance(condition, NumberRange) else NAMED
            place, declared = f"treatment.{index}.attributes.{attribute}", declaration.get(attribute)
            if declared is None or declared.type not in wanted:
                yield place, attribute, _other(attribute, declared)


def _value_problems(
    place: str, factor: OwnValueFactor, attribute: str, declared: Declared | None
) -> Iterator[tuple[str, str, str]]:
    if declared is None or declared.type not in NAMED:
        yield f"{place}.input", attribute, _other(attribute, declared)
        return
    for value in declared.names():
        if value not in factor.points:
            yield f"{place}.points.{value}", attribute, f"no points for {value}, which the portfolio declares"
    yield from _missing_problems(place, factor, attribute, declared)


def _number_problems(place: str, factor: OwnBandFactor, declaration: Declaration) -> Iterator[tuple[str, str, str]]:
    parts = ("numerator", "denominator") if isinstance(factor.input, Ratio) else ("",)
    for part, name in zip(parts, factor.inputs, strict=True):
        if not name.startswith(PREFIX):
            continue
        attribute = name.removeprefix(PREFIX)
        declared = declaration.get(attribute)
        if declared is None or declared.type not in NUMBERS:
            yield f"{place}.input.{part}".rstrip("."), attribute, _other(attribute, declared)
        else:
            yield from _missing_problems(place, factor, attribute, declared)


def _missing_problems(
    place: str, factor: OwnBandFactor | OwnValueFactor, attribute: str, declared: Declared
) -> Iterator[tuple[str, str, str]]:
    if factor.missing is None and not declared.required:
        yield f"{place}.missing", attribute, f"must be given, because {PREFIX}{attribute} is optional"


def _other(attribute: str, declared: Declared | None) -> str:
    if declared is None:
        return f"the portfolio declares no attribute {attribute}"
    return f"the portfolio declares {attribute} as {declared.type.value}, which cannot be read so"


def _is_stricter(before: Declared, after: Declared | None) -> bool:
    """Return whether values that were right may be wrong now."""
    return after is None or after.type != before.type or not set(before.values) <= set(after.values)


def _check_debtors(
    connection: Connection, portfolio: str, stricter: Mapping[str, Declared | None], required: list[str]
) -> None:
    """Raise DeclarationContradictedError where a debtor has a value that is wrong now, or lacks a required one."""
    wrong, lacking, count = dict.fromkeys(stricter, 0), dict.fromkeys(required, 0), 0
    for values in _stored(connection, portfolio):
        bad = [name for name, declared in stricter.items() if name in values and not _fits(declared, values[name])]
        without = [name for name in required if name not in values]
        for name in bad:
            wrong[name] += 1
        for name in without:
            lacking[name] += 1
        count += bool(bad or without)
    if count:
        problems = [(PREFIX + name, f"{n:,} debtors have another value") for name, n in wrong.items() if n]
        problems += [(PREFIX + name, f"{n:,} debtors have no value") for name, n in lacking.items() if n]
        raise DeclarationContradictedError(problems, count)


def _stored(connection: Connection, portfolio: str) -> Iterator[Mapping[str, Any]]:
    """Yield the attributes of each debtor, in chunks along the key."""
    last = 0
    # The plus, which changes nothing, keeps SQLite from its index of portfolios, which it would sort for each chunk.
    of_portfolio = literal_column("+debtors.portfolio", debtors.c.portfolio.type) == portfolio
    while True:
        statement = select(debtors.c.id, debtors.c.attributes).where(of_portfolio)
        rows = connection.execute(statement.where(debtors.c.id > last).order_by(debtors.c.id).limit(CHUNK)).all()
        yield from (values_of(row.attributes) for row in rows)
        if len(rows) < CHUNK:
            return
        last = rows[-1].id


def _fits(declared: Declared | None, value: Any) -> bool:
    if declared is None:
        return False
    try:
        return bool(read_value(declared, value) == value)
    except ValueError:
        return False
