"""A table of leases, and leases of processes that do not run here."""

from typing import TypeVar

from sqlalchemy import MetaData

from service_kit.database.engine import Database
from service_kit.worker.leader_lease import LeaderLease, leases_table

NAME = "work"

Lease = TypeVar("Lease", bound=LeaderLease)

metadata = MetaData()
leases = leases_table(metadata)


def a_lease(database: Database, owner: str | None = None, kind: type[Lease] = LeaderLease) -> Lease:  # type: ignore[assignment]
    """Return a claim to the lease under a chosen owner; two of this process would take each other for dead."""
    lease = kind(database, leases, NAME)
    lease.owner = owner or lease.owner
    return lease
