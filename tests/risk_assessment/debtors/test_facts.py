"""Rows, schemas and tables have the fields of a profile in their one order, and their types."""

import pytest

from recovery_core.profile import FACTS, PROFILE_FIELDS, Profile
from risk_assessment.debtors.bulk import DebtorRow
from risk_assessment.debtors.generating import Distribution, generate
from risk_assessment.debtors.importing.mapping import ALWAYS, OPTIONAL
from risk_assessment.debtors.schemas import DebtorIn, DebtorOut, DebtorPatch, DebtorPut
from risk_assessment.debtors.service import IDENTITY_FIELDS
from risk_assessment.debtors.tables import assessments, debtors

COPIES = {
    "a row of an import": DebtorRow._fields,
    "a change": DebtorPatch.model_fields,
    "a response": DebtorOut.model_fields,
    "the table of debtors": debtors.c.keys(),
    "the table of assessments": assessments.c.keys(),
}


TABLES = ("the table of debtors", "the table of assessments")


def _in_their_place(columns: tuple[str, ...]) -> tuple[str, ...]:
    assert columns[-1] == "attributes"
    return (*columns[:-2], columns[-1], columns[-2])


@pytest.mark.parametrize("copy", COPIES)
def test_every_copy_has_the_fields_of_a_profile_in_their_order(copy: str) -> None:
    in_order = tuple(name for name in COPIES[copy] if name in PROFILE_FIELDS)
    # A table got its attributes later than its other columns, at its end.
    assert (in_order if copy not in TABLES else _in_their_place(in_order)) == PROFILE_FIELDS


def test_rows_and_changes_have_these_fields_and_the_identity_and_no_others() -> None:
    assert set(DebtorPatch.model_fields) == set(DebtorIn.model_fields) == {*IDENTITY_FIELDS, *PROFILE_FIELDS}
    assert DebtorRow._fields == (*IDENTITY_FIELDS[1:], *PROFILE_FIELDS)


@pytest.mark.parametrize("name", [name for name in PROFILE_FIELDS if name not in ("total_debt_amount", "attributes")])
def test_a_change_accepts_of_a_field_what_a_profile_accepts(name: str) -> None:
    changed, whole = DebtorPatch.model_fields[name], Profile.model_fields[name]
    assert (changed.annotation, changed.metadata) == (whole.annotation, whole.metadata)


def test_changes_accept_a_debt_of_nothing_alike() -> None:
    patched, put = (schema.model_fields["total_debt_amount"] for schema in (DebtorPatch, DebtorPut))
    assert (patched.annotation, patched.metadata) == (put.annotation, put.metadata)


def test_a_row_gives_its_facts_in_their_order() -> None:
    for row in generate(50, Distribution.BALANCED, 1):
        assert row.facts == tuple(getattr(row, name) for name in FACTS)


def test_an_import_may_leave_out_what_a_profile_may() -> None:
    assert {*ALWAYS, *OPTIONAL} == set(DebtorRow._fields) - {"attributes"}
    assert all(not Profile.model_fields[name].is_required() for name in OPTIONAL if name != "person_ref")
