"""The hash of a snapshot is that of one canonical document, however it comes in parts."""

import hashlib
import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery_core.holds import Block
from recovery_core.ranking.snapshot import SnapshotDigest, add_attributes, as_text, pack_numbers, unpack_numbers

ROWS = [[one, 1, 500 + one, None, "EMPLOYED"] for one in (3, 4, 9, 12)]
PERSONS = [7, None, 7, 2]
BLOCKED = {9: Block(0b100001, "OTHER", 5), 4: Block(0b100000, "TIME_BARRED", 6)}
DOCUMENT = {
    "debtors": ROWS,
    "holds": [[4, "TIME_BARRED", ["LEGAL_REVIEW"]], [9, "OTHER", ["NO_ACTION", "LEGAL_REVIEW"]]],
    "persons": [[3, 3], [9, 3], [12, 12]],
}


def hash_of(document: object) -> str:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
@pytest.mark.parametrize("write", [as_text, json.dumps], ids=["compact", "with blanks"])
def test_the_parts_make_one_document(size: int, write: object) -> None:
    digest = SnapshotDigest(last_person=7)

    for start in range(0, len(ROWS), size):
        some = slice(start, start + size)
        ids = [row[0] for row in ROWS[some]]
        blocked = {one: BLOCKED[one] for one in ids if one in BLOCKED}
        digest.add(write(ROWS[some]), ids, PERSONS[some], blocked)  # type: ignore[operator]

    assert digest.finish() == hash_of(DOCUMENT)
    assert digest.debtors == len(ROWS)


def test_nothing_has_a_hash_too() -> None:
    assert SnapshotDigest().finish() == hash_of({"debtors": [], "holds": [], "persons": []})


@pytest.mark.parametrize("ids", [[2, 1], [1, 1], [0]])
def test_debtors_out_of_order_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="order"):
        SnapshotDigest().add(as_text([[one] for one in ids]), ids)


def test_attributes_that_are_read_are_part_of_a_row() -> None:
    texts = ['{"home":"RENT","late":3,"note":"é b"}', None, '{"late":null}']

    text = add_attributes([[1], [2], [3]], texts, ["home", "note"])

    assert json.loads(text) == [[1, {"home": "RENT", "note": "é b"}], [2, {}], [3, {}]]


@given(st.lists(st.tuples(st.integers(0, 2**63 - 1), st.integers(0, 2**31))))
def test_packed_numbers_are_read_back(rows: list[tuple[int, int]]) -> None:
    columns = [[row[0] for row in rows], [row[1] for row in rows]]

    assert [list(column) for column in unpack_numbers(pack_numbers(*columns), 2)] == columns


def test_numbers_that_were_packed_before_there_were_differences_are_read() -> None:
    columns = [[7, 9, 2**62], [1, 1, 3]]
    packed = zlib.compress(struct.pack("<6q", *columns[0], *columns[1]), 1)

    assert [list(column) for column in unpack_numbers(packed, 2)] == columns


def test_ids_in_order_are_packed_small() -> None:
    assert len(pack_numbers(range(2**40, 2**40 + 5_000), [1] * 5_000)) < 1_000


@pytest.mark.parametrize("packed", [b"?", b"", b"\x01", pack_numbers([1, 2, 3])])
def test_damaged_numbers_are_refused(packed: bytes) -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpack_numbers(packed, 2)
