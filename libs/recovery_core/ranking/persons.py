"""One debtor for each person: of an order, the first debtor of a person leads and covers the person's others. Pure.

An entry's payload has the person above the version: at most 2^32 persons and 2^31 versions fit into 63 bits.
"""

from array import array
from collections.abc import Iterable, Iterator

from recovery_core.ranking.exclusions import Excluded, Exclusion
from recovery_core.ranking.queue import Entry

VERSION_BITS = 31
"""How many bits of a payload are the version."""
VERSIONS = 1 << VERSION_BITS
"""What a payload's person is multiplied by."""
_VERSION = VERSIONS - 1


def payload_of(person_id: int | None, version: int) -> int:
    """Return the payload of an entry; a debtor without a person has its version alone."""
    return (person_id or 0) << VERSION_BITS | version


def person_of(payload: int) -> int:
    """Return the person of a payload, 0 for none."""
    return payload >> VERSION_BITS


def without_persons(order: Iterable[Entry]) -> Iterator[Entry]:
    """Yield the entries with the version alone as payload."""
    return ((priority, debtor_id, payload & _VERSION) for priority, debtor_id, payload in order)


def leading(order: Iterable[Entry], last_person: int, excluded: Excluded) -> Iterator[Entry]:
    """Yield of each person the first entry of the order, and each entry without a person; payloads are versions.

    All others are added to `excluded` as covered. Memory is 8 bytes for each number of a person, up to `last_person`.
    """
    leads = array("q", bytes(8 * (last_person + 1)))
    for priority, debtor_id, payload in order:
        person = payload >> VERSION_BITS
        if person and leads[person]:
            excluded.add(Exclusion.COVERED, [debtor_id], leads=[leads[person]])
            continue
        leads[person] = debtor_id
        yield priority, debtor_id, payload & _VERSION


def first(order: Iterable[Entry], limit: int, excluded: Excluded) -> Iterator[Entry]:
    """Yield the first `limit` entries, and count the others; the whole order is read."""
    for place, entry in enumerate(order):
        if place < limit:
            yield entry
        else:
            excluded.count(Exclusion.LIMIT, 1)
