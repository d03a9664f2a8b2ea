"""Rows that no debtor of a run reaches are found, however they are masked, and no others."""

from typing import Any

import pytest
from hypothesis import given, settings
from tests.recovery_core.builders import a_document
from tests.recovery_core.policies.small_policies import LEVELS, documents, reached_levels, unreached_rows

from recovery_core.policies.document import load_policy
from recovery_core.policies.linting.treatment_rows import unreachable_rows

LAST = {"action": "NO_ACTION"}


def reasons(*rows: dict[str, Any], levels: tuple[str, ...] = LEVELS) -> dict[int, str]:
    table = [{"action": "AGENT_CALL"} | row for row in rows]
    policy = load_policy(a_document() | {"treatment": [*table, LAST]})
    return {found.position: found.reason for found in unreachable_rows(policy.treatment, set(levels))}


@given(documents())
@settings(deadline=None, max_examples=200)
def test_exactly_the_rows_are_found_that_no_debtor_reaches(document: dict[str, Any]) -> None:
    found = unreachable_rows(load_policy(document).treatment, reached_levels(document))
    assert [row.position for row in found] == unreached_rows(document)


def test_a_paid_debtor_is_never_ranked() -> None:
    assert reasons({"payment_status": ["PAID"]}, {"payment_status": ["PAID", "PARTIAL"]}) == {
        0: "none has payment_status PAID"
    }


def test_a_debtor_of_a_run_owes_something() -> None:
    assert reasons({"max_debt": "0.01"}, {"max_debt": "0.02"}) == {0: "none has such a debt"}


def test_a_row_for_the_largest_debt_is_reached() -> None:
    assert reasons({"min_debt": "9999999999.99"}) == {}


def test_a_level_that_no_debtor_reaches_counts() -> None:
    rows = ({"level": ["HIGH", "CRITICAL"]}, {"level": ["LOW", "HIGH"]})
    assert reasons(*rows, levels=("LOW", "MEDIUM")) == {0: "none has level HIGH or CRITICAL"}


def test_one_row_masks_another() -> None:
    assert reasons({"min_debt": "10"}, {"level": ["LOW"]}, {"min_debt": "10", "lane": ["high"]}) == {
        2: "rows above match every debtor that it would: treatment.0"
    }


def test_several_rows_mask_one_together() -> None:
    masks = ({"lane": ["high"]}, {"max_debt": "10"}, {"payment_status": ["UNPAID"]}, {"payment_status": ["PARTIAL"]})
    assert reasons(*masks, {"level": ["LOW"]}) == {
        4: "rows above match every debtor that it would: treatment.0, treatment.1, treatment.2, treatment.3"
    }


def test_a_gap_of_one_cent_is_enough() -> None:
    assert reasons({"max_debt": "10.00"}, {"min_debt": "10.01"}, {"lane": ["high"]}) == {}
    assert list(reasons({"max_debt": "10.00"}, {"min_debt": "10.00"}, {"lane": ["high"]})) == [2]


def test_the_last_row_is_never_reported() -> None:
    assert reasons({"lane": ["high"]}, {"lane": ["standard"]}) == {}


def test_of_many_masks_the_first_are_named() -> None:
    slices = [{"min_debt": str(at), "max_debt": str(at + 1)} for at in range(20)]
    assert reasons(*slices, {"max_debt": "20"})[20].endswith(
        "treatment.0, treatment.1, treatment.2, treatment.3, treatment.4 and others"
    )


@pytest.mark.parametrize("levels", [1, 2])
def test_a_table_of_the_largest_size_is_judged(levels: int) -> None:
    """One row a case of level, lane and status would be 16; a thousand rows leave no more cases apart than that."""
    slices = [
        {"min_debt": str(at), "max_debt": str(at + 1), "level": list(LEVELS[at % 3 : at % 3 + levels])}
        for at in range(500)
    ]
    again = [{"min_debt": str(at), "max_debt": str(at + 1), "level": [LEVELS[at % 3]]} for at in range(499)]
    assert len(reasons(*slices, *again)) == 499
