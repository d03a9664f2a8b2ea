"""A policy document as tables."""

from tests.recovery_console.policies.builders import a_document

from recovery_console.formatting import Reader
from recovery_console.policies.document import tables


def test_the_built_in_document_becomes_tables_without_loss():
    found = tables(a_document(), Reader())

    assert found.most == 390
    assert found.objective == "Priority is score × debt."
    assert [(factor.name, factor.weight, factor.neutral) for factor in found.factors][:2] == [
        ("Debt ratio", 9, 6),
        ("Payment history", 9, 5),
    ]
    cells = [(cell.when, cell.points) for cell in found.factors[0].cells]
    assert cells == [("up to 1", 2), ("over 1, up to 3", 5), ("over 3, up to 6", 7), ("over 6", 10), ("no income", 10)]
    assert sum(len(factor.cells) for factor in found.factors) == 5 + 4 + 6 + 4 + 17


def test_levels_are_said_by_their_borders():
    assert dict(tables(a_document(), Reader()).levels) == {
        "LOW": "up to 30 % of the most points",
        "MEDIUM": "over 30, up to 60 % of the most points",
        "HIGH": "over 60, up to 80 % of the most points",
        "CRITICAL": "over 80 % of the most points",
    }


def test_a_row_of_the_treatment_reads_as_a_sentence():
    rows = tables(a_document(), Reader()).treatment

    assert (rows[0].conditions, rows[0].action) == ("payment status paid", "No action")
    assert rows[2].conditions == "level critical; debt of 50,000.00 or more"
    assert rows[5].conditions == "level medium or high; payment status partial"
    assert rows[-1].conditions == "every other debtor"


def test_attributes_ratios_and_missing_values_are_said():
    factors = {
        "delinquency": {
            "input": "attributes.days_past_due",
            "weight": 9,
            "neutral": 4,
            "missing": 5,
            "bands": [{"up_to": 30, "points": 2}, {"points": 10}],
        },
        "burden": {
            "input": {"numerator": "total_debt_amount", "denominator": "attributes.assets"},
            "weight": 1,
            "neutral": 0,
            "zero_denominator": 7,
            "bands": [{"points": 3}],
        },
        "insured": {"input": "attributes.insured", "weight": 2, "neutral": 1, "points": {"true": 1, "false": 4}},
    }

    first, second, third = tables(a_document(factors=factors), Reader()).factors

    assert (first.input, first.cells[-1].when, first.cells[-1].points) == ("Days past due", "the value is missing", 5)
    assert (second.input, second.cells[0].when, second.cells[1].points) == (
        "Total debt amount ÷ Assets",
        "any value",
        7,
    )
    assert [(cell.when, cell.points) for cell in third.cells] == [("yes", 1), ("no", 4)]


def test_conditions_on_attributes_are_said():
    row = {
        "action": "AGENT_CALL",
        "lane": ["high"],
        "max_debt": "500.00",
        "attributes": {"home": ["OWNER", "RENT"], "insured": [True], "days_past_due": {"min": 30, "max": 90}},
    }

    (found,) = tables(a_document(treatment=[row]), Reader()).treatment

    assert found.conditions == (
        "lane high; debt below 500.00; home OWNER or RENT; insured yes; days past due of 30 or more and below 90"
    )


def test_an_objective_with_rates_and_costs_is_a_table():
    objective = {
        "kind": "value_per_effort",
        "rate_bp": {"LOW": 9000, "CRITICAL": 500},
        "cost": {"AGENT_CALL": 4},
    }

    found = tables(a_document(objective=objective), Reader())

    assert found.objective.startswith("Priority is the value per effort")
    assert found.objective_rows == (
        ("Rate of low", "9,000 of 10,000"),
        ("Rate of critical", "500 of 10,000"),
        ("Cost of agent call", "4"),
    )
