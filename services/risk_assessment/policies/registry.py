"""The policies that this installation knows: the built-in ones and those of a folder, each also kept in the database.

Two different documents under one name are rejected. No policy that was ever used is forgotten: runs and assessments
refer to its row.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, select

from recovery_core.policies.builtin import UnknownPolicyError, built_in_policies, built_in_versions
from recovery_core.policies.document import Policy, PolicyError, canonical_json, load_policy
from recovery_core.policies.problems import Problem
from recovery_core.scoring.scorer import Scorer, scorer_for
from risk_assessment.policies.tables import policies
from service_kit.database.bulk import insert_rows
from service_kit.database.types import utc_text


class PolicyRegistry:
    """Policies by name, which of them is active, and their row numbers in the database."""

    def __init__(self, known: Mapping[str, Policy], default: str) -> None:
        self._known = dict(known)
        self._ids: dict[str, int] = {}
        self._scorers: dict[int, Scorer] = {}
        self._uncommitted: set[int] = set()
        self._default = self.named(default)

    def named(self, name: str) -> Policy:
        """Return the policy of that name. Raises UnknownPolicyError, which lists the known ones."""
        if name not in self._known:
            raise UnknownPolicyError(name, sorted(self._known))
        return self._known[name]

    def known_as(self, name_or_hash: str) -> Policy:
        """Return the policy of that name or hash, built-in ones in all versions. Raises UnknownPolicyError."""
        by_hash = {**built_in_versions(), **{policy.hash: policy for policy in self._known.values()}}
        return by_hash.get(name_or_hash) or self.named(name_or_hash)

    def active(self, portfolio: str) -> Policy:
        """Return the policy that scores this portfolio now."""
        return self._default

    def chosen(self, name: str | None, portfolio: str) -> Policy:
        """Return the policy of that name, or the portfolio's active one. Raises UnknownPolicyError."""
        return self.active(portfolio) if name is None else self.named(name)

    def register(self, connection: Connection, policy: Policy, now: datetime) -> int:
        """Return the policy's row number, and insert its row when it is used for the first time."""
        found = self.find_id(connection, policy)
        if found is None:
            found = _insert(connection, policy, now)
            # Not cached yet: a rollback would take the number back, and another policy would get it.
            self._uncommitted.add(found)
        return found

    def find_id(self, connection: Connection, policy: Policy) -> int | None:
        """Return the policy's row number, None while it was never used. Writes nothing."""
        if policy.hash not in self._ids:
            found = connection.execute(select(policies.c.id).where(policies.c.hash == policy.hash)).scalar()
            if found is None:
                return None
            self._ids[policy.hash] = found
            self._uncommitted.discard(found)
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


def _insert(connection: Connection, policy: Policy, now: datetime) -> int:
    document = canonical_json(policy.document).decode()
    row = (policy.hash, policy.name, policy.version, document, utc_text(now))
    columns = ("hash", "name", "version", "document", "created_at")
    insert_rows(connection, policies, columns, [row], ignore_duplicates=True)
    found: int = connection.execute(select(policies.c.id).where(policies.c.hash == policy.hash)).scalar_one()
    return found
