"""The snapshot: what a run looked at, in order of the debtors' ids. Its hash, and who was looked at, packed. Pure.

`docs/evidence.md` says how the hash is made, so that others can compute it.
"""

import hashlib
import sys
import zlib
from array import array
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, chain, pairwise, starmap
from operator import lt, sub
from typing import Any, NamedTuple

import orjson

from recovery_core.holds import Block, actions_of

_WORDS = 8  # bytes of a packed number
_DIFFERENCES = b"\x01"  # begins what is packed; without it, as before there were differences, zlib's own \x78 does


class SnapshotPart(NamedTuple):
    """Debtors in order of their ids, and the version of each."""

    ids: Sequence[int]
    versions: Sequence[int]


class SnapshotDigest:
    """Hashes a snapshot, which is added in order of the debtors' ids.

    Memory grows with the debtors that have a person or a hold, and with `last_person`, the highest number of a person.
    """

    def __init__(self, last_person: int = 0) -> None:
        self._digest = hashlib.sha256(b'{"debtors":[')
        self._first_of = array("q", bytes(_WORDS * (last_person + 1)))
        self._persons = array("q")
        self._holds: list[tuple[int, str, list[str]]] = []
        self._last_id = 0
        self.debtors = 0

    def add(
        self,
        facts: str,
        ids: Sequence[int],
        persons: Sequence[int | None] = (),
        blocked: Mapping[int, Block] | None = None,
    ) -> None:
        """Add debtors with higher ids than all before: their facts as JSON, an array of one array for each.

        `persons` has the number of the person of each, and is empty where none is known. `blocked` has those on hold.
        Raises ValueError for ids out of order.
        """
        if not ids:
            return
        if ids[0] <= self._last_id or not all(starmap(lt, pairwise(ids))):
            raise ValueError("debtors of a snapshot must be added in order of their ids")
        if self.debtors:
            self._digest.update(b",")
        self._digest.update(_canonical(facts)[1:-1])
        self.debtors += len(ids)
        self._last_id = ids[-1]
        for debtor_id, person in zip(ids, persons, strict=True) if any(persons) else ():
            if person:
                self._first_of[person] = self._first_of[person] or debtor_id
                self._persons.extend((debtor_id, self._first_of[person]))
        for debtor_id, block in sorted(blocked.items()) if blocked else ():
            self._holds.append((debtor_id, block.kind, actions_of(block.mask)))

    def finish(self) -> str:
        """Return the hash; nothing is added afterwards."""
        self._digest.update(b'],"holds":' + orjson.dumps(self._holds))
        pairs = list(zip(self._persons[::2], self._persons[1::2], strict=True))
        self._digest.update(b',"persons":' + orjson.dumps(pairs) + b"}")
        return self._digest.hexdigest()


def _canonical(facts: str) -> bytes:
    """Return JSON text without blanks between its values, as canonical JSON has it."""
    # Parsing takes as long as reading from the database, and most text is canonical as it comes.
    plain = " " not in facts and "\\" not in facts
    return facts.encode() if plain else orjson.dumps(orjson.loads(facts))


def add_attributes(rows: Sequence[list[Any]], attributes: Iterable[str | None], names: Sequence[str]) -> str:
    """Return rows of facts as JSON, each with an object of the attributes of these names, which are in order.

    Attributes come as stored: a JSON object as text, None for none. An absent one is left out.
    """
    for row, text in zip(rows, attributes, strict=True):
        values = orjson.loads(text) if text else {}
        row.append({name: values[name] for name in names if values.get(name) is not None})
    return as_text(rows)


def pack_numbers(*columns: Sequence[int]) -> bytes:
    """Pack columns of equal length, each number from 0 to 2^63-1 as 8 bytes of its difference to the one before.

    Compressed, which ids in order and equal versions nearly vanish by.
    """
    packed = bytearray()
    for column in columns:
        packed += _little(array("q", map(sub, column, chain((0,), column)))).tobytes()
    return _DIFFERENCES + zlib.compress(bytes(packed), 1)


def unpack_numbers(packed: bytes, columns: int) -> list["array[int]"]:
    """Return the columns that ``pack_numbers`` packed. Raises ValueError for damaged bytes."""
    are_differences = packed.startswith(_DIFFERENCES)
    try:
        numbers = array("q", zlib.decompress(packed.removeprefix(_DIFFERENCES)))
    except zlib.error as error:
        raise ValueError(f"packed numbers are damaged: {error}") from None
    size, rest = divmod(len(numbers), columns)
    if rest:
        raise ValueError("packed numbers are damaged: columns of different length")
    found = [_little(numbers[start * size : (start + 1) * size]) for start in range(columns)]
    return [array("q", accumulate(column)) for column in found] if are_differences else found


def _little(numbers: "array[int]") -> "array[int]":
    """Return numbers in little-endian order, or back: the same everywhere."""
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def as_text(rows: Iterable[Sequence[Any]]) -> str:
    """Return rows of facts as the JSON that ``SnapshotDigest.add`` takes."""
    return orjson.dumps(list(rows)).decode()
