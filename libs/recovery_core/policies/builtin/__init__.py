"""The policies that come with the product: every version of each, as JSON documents beside this file."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files

from recovery_core.policies.document import Policy, load_policy


class UnknownPolicyError(LookupError):
    """No policy has this name; the message lists those that exist."""

    def __init__(self, name: str, known: Sequence[str]) -> None:
        super().__init__(f"no policy is named {name!r}; there are: {', '.join(known)}")


def built_in_policies() -> Mapping[str, Policy]:
    """Return the newest version of every built-in policy, by name."""
    by_version = sorted(built_in_versions().values(), key=lambda policy: policy.version)
    return {policy.name: policy for policy in by_version}


def built_in_policy(name: str) -> Policy:
    """Return the newest version of a built-in policy. Raises UnknownPolicyError."""
    policies = built_in_policies()
    if name not in policies:
        raise UnknownPolicyError(name, sorted(policies))
    return policies[name]


@lru_cache(maxsize=1)
def built_in_versions() -> Mapping[str, Policy]:
    """Return every version of every built-in policy, by hash."""
    # An old version is never edited, only followed by a file of its own: its runs must stay replayable.
    documents = (entry for entry in files(__package__).iterdir() if entry.name.endswith(".json"))
    policies = [load_policy(document.read_bytes()) for document in documents]
    return {policy.hash: policy for policy in policies}
