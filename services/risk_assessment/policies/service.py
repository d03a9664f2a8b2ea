"""Policies: store one, upload one as a draft; and add the row of a portfolio, which names its active policy.

Functions take a connection, never commit.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select

from recovery_core.policies.document import MAX_PROBLEMS, Policy, PolicyError, canonical_json, load_policy
from risk_assessment.policies.queries import Installation, id_of, known
from risk_assessment.policies.tables import policies, policy_uploads
from risk_assessment.portfolios.tables import portfolios
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text


class NotAPolicyError(ValueError):
    """A document is no policy; `field_errors` names each place, dotted as in the document, and what is wrong there."""

    def __init__(self, error: PolicyError) -> None:
        self.field_errors = [(_field(place), message) for place, message, _ in error.problems[:MAX_PROBLEMS]]
        self.field_errors_total = error.total
        places = "places of the document are" if error.total > 1 else "place of the document is"
        super().__init__(f"{error.total} {places} not valid")


class PolicyVersionTakenError(Exception):
    """Another document has this name and version."""

    def __init__(self) -> None:
        super().__init__("another policy has this name and version; upload it as the next version")


def read_document(document: Mapping[str, Any]) -> Policy:
    """Return the policy in a document that a client sent. Raises NotAPolicyError."""
    try:
        return load_policy(document)
    except PolicyError as error:
        raise NotAPolicyError(error) from None


def upload(connection: Connection, policy: Policy, installation: Installation, actor: str, now: datetime) -> bool:
    """Store a policy as a draft. Return False where this very document is known already.

    Raises PolicyVersionTakenError.
    """
    _check_version(connection, policy, installation)
    if policy.hash in installation.by_hash or known(connection, policy).uploaded_by is not None:
        return False
    row = (store(connection, policy, now), policy.name, policy.version, actor, utc_text(now))
    columns = ("policy_id", "name", "version", "uploaded_by", "uploaded_at")
    insert_rows(connection, policy_uploads, columns, [row], ignore_duplicates=True)
    # Of two uploads at the same time under one name and version, the first to commit counts.
    uploaded = known(connection, policy)
    if uploaded.uploaded_by is None:
        raise PolicyVersionTakenError
    return (uploaded.uploaded_by, uploaded.uploaded_at) == (actor, now)


def store(connection: Connection, policy: Policy, now: datetime) -> int:
    """Return the policy's row number, and insert its row where it has none."""
    document = canonical_json(policy.document).decode()
    row = (policy.hash, policy.name, policy.version, document, utc_text(now))
    columns = ("hash", "name", "version", "document", "created_at")
    insert_rows(connection, policies, columns, [row], ignore_duplicates=True)
    found = id_of(connection, policy.hash)
    assert found is not None  # noqa: S101 - just stored
    return found


def add_portfolio(connection: Connection, name: str, now: datetime) -> None:
    """Add the row of a portfolio that has none, with the policy of RISK_POLICY and nothing declared."""
    at = utc_text(now)
    columns = ("name", "time_zone", "jurisdiction", "attributes", "created_at", "updated_at")
    insert_rows(connection, portfolios, columns, [(name, "UTC", "none", "{}", at, at)], ignore_duplicates=True)


def _check_version(connection: Connection, policy: Policy, installation: Installation) -> None:
    installed = ((one.name, one.version, one.hash) for one in installation.by_hash.values())
    same = select(policies.c.name, policies.c.version, policies.c.hash).where(
        policies.c.name == policy.name, policies.c.version == policy.version
    )
    for name, version, policy_hash in (*installed, *connection.execute(same)):
        if (name, version) == (policy.name, policy.version) and policy_hash != policy.hash:
            raise PolicyVersionTakenError


def _field(place: str) -> str:
    return "body" if place == "document" else place
