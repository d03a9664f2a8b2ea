"""The report of a simulation as tables."""

from tests.recovery_console.simulations.builders import a_simulation

from recovery_console.formatting import Reader
from recovery_console.simulations.view import exposures, matrix, movers, pairs


def test_the_matrix_has_every_level_that_occurs_with_sums_and_who_moves():
    found = matrix(a_simulation()["levels"])

    assert found.levels == ("HIGH", "MEDIUM")
    assert found.rows == (("HIGH", (1, 0), 1), ("MEDIUM", (1, 1), 2))
    assert found.sums == (2, 1)
    assert found.moved == 1


def test_an_empty_book_has_an_empty_matrix():
    assert matrix({}).moved == 0


def test_both_sides_are_paired_by_name_with_the_signed_difference():
    rows = pairs(a_simulation()["actions"])

    assert [(row.name, row.today, row.proposed, Reader().signed(row.change)) for row in rows] == [
        ("Agent call", 3, 2, "−1"),
        ("Specialist review", 0, 1, "+1"),
    ]
    assert [row.name for row in pairs(a_simulation()["excluded"], reasons=True)] == [
        "paid",
        "the policy cannot score it",
    ]


def test_a_level_that_only_one_side_has_is_shown():
    assert [
        (row.level, row.today["debtors"], row.proposed["debtors"]) for row in exposures(a_simulation()["exposure"])
    ] == [
        ("HIGH", 0, 2),
        ("MEDIUM", 2, 0),
    ]


def test_movers_go_up_or_down_or_are_ranked_on_one_side():
    found = movers([*a_simulation()["movers"], {"debtor_id": 5, "rank_today": 2, "rank_proposed": None}])

    assert [one.change(Reader()) for one in found] == [
        "ranked only under the proposed policy",
        "2 up",
        "1 down",
        "no longer ranked",
    ]
