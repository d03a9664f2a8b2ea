"""Reads what a run looks at: every debtor of the portfolio in order of the ids, with the facts, person and holds."""

from collections.abc import Generator, Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, Select

from recovery_core.policies.document import Policy
from recovery_core.profile import PROFILE_FIELDS
from recovery_core.ranking.persons import payload_of
from recovery_core.ranking.snapshot import SnapshotDigest, SnapshotPart, add_attributes, as_text
from risk_assessment.debtors.queries import Ends, chunks
from risk_assessment.exclusions.selection import Blocked
from service_kit.database.bulk import document_and_columns
from service_kit.database.engine import reading_ahead


class SnapshotReader:
    """Hashes the debtors of a portfolio as one connection sees them, and yields which version of each it saw."""

    def __init__(
        self,
        connection: Connection,
        portfolio: str,
        ends: Ends,
        blocked: Blocked,
        last_person: int,
        attributes: Iterable[str] = (),
    ) -> None:
        self._connection, self._portfolio, self._ends, self._blocked = connection, portfolio, ends, blocked
        self._attributes = sorted(attributes)
        self._has_persons = last_person > 0
        self._digest = SnapshotDigest(last_person)

    def parts(self) -> Generator[SnapshotPart]:
        """Yield all debtors, in chunks. The connection is in use until the end; close the generator to end early."""
        self._blocked.read()  # from the same connection, which the thread has from here on
        columns = ["id", "version", *self._more()]
        statements = chunks(self._portfolio, self._ends, (*_LOOKED_AT, *self._more()))
        with reading_ahead(self._chunk(statement, columns) for statement in statements) as read:
            for facts, ids, versions, persons in read:
                if ids:
                    self._add(facts, ids, persons, versions)
                    yield SnapshotPart(ids, versions)

    @property
    def debtors(self) -> int:
        """How many were yielded."""
        return self._digest.debtors

    def finish(self) -> str:
        """Return the hash of all that was yielded."""
        return self._digest.finish()

    def _add(self, facts: str, ids: list[int], persons: list[int | None], versions: list[int]) -> None:
        pairs = zip(persons, versions, strict=True) if persons else ()
        payloads = [payload_of(person, version) for person, version in pairs] or versions
        self._digest.add(facts, ids, persons, self._blocked.among(ids, payloads))

    def _chunk(
        self, statement: Select[Any], columns: Sequence[str]
    ) -> tuple[str, list[int], list[int], list[int | None]]:
        facts, found = document_and_columns(self._connection, statement, _LOOKED_AT, columns)
        if found[0] != sorted(found[0]):
            facts, found = _sorted(facts, found)
        read = dict(zip(columns, found, strict=True))
        if self._attributes:
            facts = add_attributes(orjson.loads(facts), read["attributes"], self._attributes)
        return facts, read["id"], read["version"], read.get("person_id", [])

    def _more(self) -> list[str]:
        wanted = {"person_id": self._has_persons, "attributes": bool(self._attributes)}
        return [name for name, is_wanted in wanted.items() if is_wanted]


# Attributes are no column of every debtor: most portfolios declare none.
_LOOKED_AT = ("id", "version", *(name for name in PROFILE_FIELDS if name != "attributes"))


def attributes_read(policy: Policy) -> Sequence[str]:
    """Return the attributes that a policy reads, in order of their names."""
    return sorted(getattr(policy, "attributes", ()))


def _sorted(facts: str, found: list[list[Any]]) -> tuple[str, list[list[Any]]]:
    """Return a chunk in order of the ids: no database promises the order in which it makes a document."""
    order = sorted(range(len(found[0])), key=found[0].__getitem__)
    rows = orjson.loads(facts)
    return as_text(rows[at] for at in order), [[column[at] for at in order] for column in found]
