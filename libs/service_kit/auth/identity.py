"""Who can call: identities, the roles that they have, and how they are recognised. Knows nothing of HTTP."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Role(StrEnum):
    """What a caller may do; each includes the ones before."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    APPROVER = "approver"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        """Tell whether this role may do what the other may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, such as `key:nightly` or `oidc:4f1c`; `role` is None for somebody known who may do nothing here."""

    actor: str
    role: Role | None


ANYBODY = Identity("anonymous", Role.ADMIN)
"""Every caller where authentication is off."""


class BadCredentialsError(Exception):
    """The credentials prove nothing. The text is for our logs: callers are not told what was wrong with a forgery."""


class UncheckableError(Exception):
    """The credentials cannot be checked at the moment; the text says why, without addresses."""


class Authenticator(Protocol):
    """Turns a bearer token into an identity."""

    async def identify(self, token: str) -> Identity:
        """Return who the token stands for. Raises BadCredentialsError or UncheckableError."""
        ...
