"""The policies this installation knows: the built-in ones and those of a folder, each also kept in the database.

Refuses two different documents under one name, and forgets no policy that was ever used: runs and assessments refer
to its row.
"""

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import orjson
from sqlalchemy import Connection, select

from recovery_core.policy import Policy, PolicyError, UnknownPolicyError, built_in_policies, load_policy
from recovery_core.scoring import Scorer, scorer_for
from risk_assessment.tables import policies
from service_kit.bulk import insert_rows
from service_kit.database import utc_text


class PolicyShelf:
    """Policies by name, with the active one, and their row numbers in the database."""

    def __init__(self, known: Mapping[str, Policy], active: str) -> None:
        self._known = dict(known)
        self._ids: dict[str, int] = {}
        self._scorers: dict[int, Scorer] = {}
        self._unsure: set[int] = set()
        self.active = self.named(active)

    def named(self, name: str | None) -> Policy:
        """The policy of that name, the active one for None. Raises UnknownPolicyError naming the known ones."""
        if name is None:
            return self.active
        if name not in self._known:
            raise UnknownPolicyError(name, sorted(self._known))
        return self._known[name]

    def id_of(self, connection: Connection, policy: Policy, now: datetime) -> int:
        """Row number of the policy, which is written down when it is used for the first time."""
        found = self.find_id(connection, policy)
        if found is None:
            found = _keep(connection, policy, now)
            # Not remembered yet: a rollback would take the number back, and give it to another policy.
            self._unsure.add(found)
        return found

    def find_id(self, connection: Connection, policy: Policy) -> int | None:
        """Row number of the policy, None while it was never used. Writes nothing."""
        if policy.hash not in self._ids:
            found = connection.execute(select(policies.c.id).where(policies.c.hash == policy.hash)).scalar()
            if found is None:
                return None
            self._ids[policy.hash] = found
            self._unsure.discard(found)
        return self._ids[policy.hash]

    def scorer(self, connection: Connection, policy_id: int) -> Scorer:
        """The scorer of the policy a row refers to, whether or not that policy is still among the known ones."""
        known = self._scorers.get(policy_id)
        if known is None:
            document = connection.execute(select(policies.c.document).where(policies.c.id == policy_id)).scalar_one()
            known = scorer_for(load_policy(document))
            if policy_id not in self._unsure:
                self._scorers[policy_id] = known
        return known


def open_shelf(active: str, folder: Path | None) -> PolicyShelf:
    """Built-in policies and the documents (*.json) of a folder. Raises PolicyError, naming the file that is wrong."""
    known = dict(built_in_policies())
    if folder and not folder.is_dir():
        raise PolicyError([f"RISK_POLICY_DIR: there is no folder {folder}"])
    for path in sorted(folder.glob("*.json")) if folder else ():
        policy = _read(path)
        if policy.name in known:
            raise PolicyError([f"{path}: a policy named {policy.name!r} is already known"])
        known[policy.name] = policy
    try:
        return PolicyShelf(known, active)
    except UnknownPolicyError as error:
        raise PolicyError([f"RISK_POLICY: {error}"]) from error


def _read(path: Path) -> Policy:
    try:
        return load_policy(path.read_bytes())
    except (PolicyError, OSError) as error:
        raise PolicyError([f"{path}: {error}"]) from error


def _keep(connection: Connection, policy: Policy, now: datetime) -> int:
    document = orjson.dumps(policy.document, option=orjson.OPT_SORT_KEYS).decode()
    row = (policy.hash, policy.name, policy.version, document, utc_text(now))
    columns = ("hash", "name", "version", "document", "created_at")
    insert_rows(connection, policies, columns, [row], ignore_duplicates=True)
    found: int = connection.execute(select(policies.c.id).where(policies.c.hash == policy.hash)).scalar_one()
    return found
