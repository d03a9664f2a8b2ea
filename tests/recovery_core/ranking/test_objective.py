from recovery_core.money import MAX_MINOR, MAX_PRIORITY
from recovery_core.policies.parts import MAX_TOTAL
from recovery_core.ranking.objective import priority_of


def test_a_priority_is_score_times_debt() -> None:
    assert priority_of(237, 3326716) == 788431692


def test_the_largest_priority_fits_a_signed_64_bit_integer() -> None:
    assert priority_of(MAX_TOTAL, MAX_MINOR) <= MAX_PRIORITY < 2**63
