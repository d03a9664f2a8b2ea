"""Who can call: identities, their roles, and how they are authenticated. Knows nothing of HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from service_kit.auth.portfolios import Portfolios


class Role(StrEnum):
    """What a caller may do; each includes the ones before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Return whether this role may do what the other may."""
        return _RANK[self] >= _RANK[other]


_RANK = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, such as `key:nightly` or `oidc:4f1c`; `role` is None for a known caller who may do nothing here.

    `portfolios` are those that the caller is bound to, None for all of them.
    """

    actor: str
    role: Role | None
    portfolios: Portfolios = None


UNAUTHENTICATED = Identity("anonymous", Role.ADMIN)
"""Every caller where authentication is off."""


class BadCredentialsError(Exception):
    """The credentials prove nothing. The text is for our logs: a response never says what was wrong with a forgery."""


class UncheckableError(Exception):
    """The credentials cannot be checked at the moment; the text says why, without addresses."""


class Authenticator(Protocol):
    """Turns a bearer token into an identity."""

    async def identify(self, token: str) -> Identity:
        """Return the token's identity. Raises BadCredentialsError or UncheckableError."""
        ...
