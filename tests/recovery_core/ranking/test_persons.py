"""Of a person's debtors the first in the order leads, and names itself as the reason why the others are left out."""

from recovery_core.ranking.exclusions import Excluded, unpack_left
from recovery_core.ranking.persons import first, leading, payload_of, person_of, without_persons

LARGEST = payload_of(2**32 - 1, 2**31 - 1)
ORDER = [
    (90, 4, payload_of(2, 7)),
    (80, 9, payload_of(None, 1)),
    (80, 11, payload_of(1, 1)),
    (70, 3, payload_of(2, 2)),
    (70, 5, payload_of(None, 3)),
    (60, 6, payload_of(2, 9)),
]


def test_a_payload_has_person_and_version_in_63_bits() -> None:
    assert LARGEST < 2**63
    assert person_of(LARGEST) == 2**32 - 1
    assert list(without_persons([(1, 2, LARGEST)])) == [(1, 2, 2**31 - 1)]
    assert person_of(payload_of(None, 5)) == 0


def test_the_first_debtor_of_a_person_leads() -> None:
    excluded = Excluded()

    assert list(leading(ORDER, 2, excluded)) == [(90, 4, 7), (80, 9, 1), (80, 11, 1), (70, 5, 3)]
    [part] = excluded.take_all()
    assert (part.reason, unpack_left(part.packed)) == ("COVERED", [(3, 0, 4), (6, 0, 4)])


def test_a_limit_comes_after_the_persons_and_counts_the_rest() -> None:
    excluded = Excluded()

    assert list(first(leading(ORDER, 2, excluded), 3, excluded)) == [(90, 4, 7), (80, 9, 1), (80, 11, 1)]
    assert excluded.counts == {"COVERED": 2, "LIMIT": 1}
