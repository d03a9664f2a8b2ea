"""The policies that an installation knows: the built-in ones, those of a folder, and those in the database.

Two different documents under one name and version are rejected. No policy that was ever used is forgotten: runs and
assessments refer to its row. Which policy is active is read each time, so an activation counts at once everywhere.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from weakref import ReferenceType, ref

from sqlalchemy import Connection, Transaction, select

from recovery_core.policies.builtin import UnknownPolicyError, built_in_policies, built_in_versions
from recovery_core.policies.document import Policy, PolicyError, load_policy
from recovery_core.policies.problems import Problem
from recovery_core.scoring.scorer import Scorer, scorer_for
from risk_assessment.policies import queries, service
from risk_assessment.policies.queries import Installation, PolicyNotFoundError
from risk_assessment.policies.tables import policies


class NeverActivatedError(ValueError):
    """A policy is named that no approver ever activated in this portfolio."""

    field = "policy"

    def __init__(self) -> None:
        super().__init__("this policy was never activated here; an approver activates it first")


class ActiveScorer(NamedTuple):
    """The scorer of a portfolio's active policy, and the row that assessments refer to."""

    policy_id: int
    scorer: Scorer
    declared: str = "{}"
    """The attributes that the portfolio declares, as JSON text."""


class PolicyRegistry:
    """Policies by name and hash, which of them is active, and their row numbers in the database."""

    def __init__(self, known: Mapping[str, Policy], default: str) -> None:
        self._known = dict(known)
        self._ids: dict[str, int] = {}
        self._scorers: dict[int, Scorer] = {}
        self._uncommitted: dict[int, ReferenceType[Transaction]] = {}
        if default not in self._known:
            raise UnknownPolicyError(default, sorted(self._known))
        by_hash = {policy.hash: policy for policy in (*built_in_versions().values(), *known.values())}
        self.installation = Installation(by_hash, self._known[default])

    def active(self, connection: Connection, portfolio: str) -> Policy:
        """Return the policy that scores this portfolio now: the one activated there, or that of RISK_POLICY."""
        row = queries.active_policy(connection, portfolio)
        if row is None or row.active_policy_id is None:
            return self.installation.default
        return self.scorer(connection, row.active_policy_id).policy

    def active_scorer(self, connection: Connection, portfolio: str, now: datetime) -> ActiveScorer:
        """Return what scores debtors that are written to this portfolio, which gets its row where it has none.

        Until the transaction ends nothing else is activated or declared there.
        """
        row = queries.active_policy(connection, portfolio, until_commit=True)
        if row is None:
            service.add_portfolio(connection, portfolio, now)
            row = queries.active_policy(connection, portfolio, until_commit=True)
        declared = "{}" if row is None else row.attributes
        if row is not None and row.active_policy_id is not None:
            return ActiveScorer(row.active_policy_id, self.scorer(connection, row.active_policy_id), declared)
        default = self.installation.default
        return ActiveScorer(self.register(connection, default, now), scorer_for(default), declared)

    def installed(self, name_or_hash: str) -> Policy:
        """Return an installed policy, without a database: the newest of a name. Raises UnknownPolicyError."""
        found = self._known.get(name_or_hash) or self.installation.by_hash.get(name_or_hash)
        if found is None:
            raise UnknownPolicyError(name_or_hash, sorted(self._known))
        return found

    def named(self, connection: Connection, name_or_hash: str) -> Policy:
        """Return the newest version of this name that is no draft, or exactly the document of this hash.

        Raises UnknownPolicyError, which lists those that are installed.
        """
        stored = queries.id_of(connection, name_or_hash)
        found = self._newest(connection, name_or_hash, None) if stored is None else self._policy(connection, stored)
        if found is None:
            raise UnknownPolicyError(name_or_hash, sorted(self._known))
        return found

    def chosen(self, connection: Connection, name_or_hash: str | None, portfolio: str) -> Policy:
        """Return the policy of this name or hash that may score this portfolio, or its active one.

        Raises UnknownPolicyError, and NeverActivatedError for one that was uploaded and never activated there.
        """
        if name_or_hash is None:
            return self.active(connection, portfolio)
        found = self._newest(connection, name_or_hash, portfolio)
        if found is not None:
            return found
        if queries.is_uploaded(connection, name_or_hash):
            raise NeverActivatedError
        raise UnknownPolicyError(name_or_hash, sorted(self._known))

    def with_hash(self, connection: Connection, policy_hash: str) -> Policy:
        """Return exactly this document, a draft too. Raises PolicyNotFoundError."""
        installed = self.installation.by_hash.get(policy_hash)
        if installed is not None:
            return installed
        found = queries.id_of(connection, policy_hash)
        if found is None:
            raise PolicyNotFoundError
        return self._policy(connection, found)

    def register(self, connection: Connection, policy: Policy, now: datetime) -> int:
        """Return the policy's row number, and insert its row when it is used for the first time."""
        found = self.find_id(connection, policy)
        if found is None:
            found = service.store(connection, policy, now)
            # Not cached yet: a rollback would take the number back, and another policy would get it.
            self._uncommitted[found] = ref(_transaction_of(connection))
        return found

    def find_id(self, connection: Connection, policy: Policy) -> int | None:
        """Return the policy's row number, None while it was never used. Writes nothing."""
        if policy.hash not in self._ids:
            found = queries.id_of(connection, policy.hash)
            if found is None or self._may_be_rolled_back(connection, found):
                return found
            self._ids[policy.hash] = found
            self._uncommitted.pop(found, None)
        return self._ids[policy.hash]

    def scorer(self, connection: Connection, policy_id: int) -> Scorer:
        """Return the scorer of the policy that a row refers to, even if the installation no longer has that policy."""
        cached = self._scorers.get(policy_id)
        if cached is None:
            document = connection.execute(select(policies.c.document).where(policies.c.id == policy_id)).scalar_one()
            cached = scorer_for(load_policy(document))
            if policy_id not in self._uncommitted:
                self._scorers[policy_id] = cached
        return cached

    def _policy(self, connection: Connection, policy_id: int) -> Policy:
        """Return the policy of a row without its scorer: most of those that are only read never score."""
        if policy_id in self._scorers:
            return self._scorers[policy_id].policy
        return load_policy(
            connection.execute(select(policies.c.document).where(policies.c.id == policy_id)).scalar_one()
        )

    def _newest(self, connection: Connection, name_or_hash: str, portfolio: str | None) -> Policy | None:
        """Return the newest of the installed and the activated policies of this name or hash, None where none is."""
        activated = queries.newest_activated(connection, name_or_hash, portfolio)
        installed = self._known.get(name_or_hash) or self.installation.by_hash.get(name_or_hash)
        if activated is None or (installed is not None and installed.version >= activated.version):
            return installed
        return self._policy(connection, activated.id)

    def _may_be_rolled_back(self, connection: Connection, policy_id: int) -> bool:
        """Return whether this very transaction inserted the row."""
        inserted_by = self._uncommitted.get(policy_id)
        return inserted_by is not None and inserted_by() is connection.get_transaction()


def load_registry(default: str, folder: Path | None) -> PolicyRegistry:
    """Load the built-in policies and the documents (*.json) of a folder. Raises PolicyError naming the bad file."""
    known = dict(built_in_policies())
    if folder and not folder.is_dir():
        raise PolicyError([Problem("RISK_POLICY_DIR", f"there is no folder {folder}")])
    for path in sorted(folder.glob("*.json")) if folder else ():
        policy = _read(path)
        if policy.name in known:
            raise PolicyError([Problem(str(path), f"a policy named {policy.name!r} is already known")])
        known[policy.name] = policy
    try:
        return PolicyRegistry(known, default)
    except UnknownPolicyError as error:
        raise PolicyError([Problem("RISK_POLICY", str(error))]) from error


def _read(path: Path) -> Policy:
    try:
        return load_policy(path.read_bytes())
    except (PolicyError, OSError) as error:
        raise PolicyError([Problem(str(path), str(error))]) from error


def _transaction_of(connection: Connection) -> Transaction:
    transaction = connection.get_transaction()
    assert transaction is not None  # noqa: S101 - a row was just inserted
    return transaction
