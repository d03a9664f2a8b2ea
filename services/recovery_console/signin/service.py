"""Whether both services accept a key or token, and where a person goes after that."""

import asyncio
import re

from recovery_client import debt, risk
from recovery_client.async_client import AsyncRecoveryClient
from recovery_client.errors import ClientError, RejectedError
from recovery_console.failures import NAMES, away_of
from recovery_console.sessions import Session
from service_kit.auth.identity import Role

MAX_CREDENTIAL_CHARS = 8_192
_VISIBLE = re.compile(r"[!-~]+")


class RefusedError(Exception):
    """A person cannot sign in with this key or token; the text says which service refused, and what to do."""

    def __init__(self, text: str, status: int) -> None:
        super().__init__(text)
        self.status = status


def is_visible(credential: str) -> bool:
    """Return whether a text can be a key or a token at all."""
    return len(credential) <= MAX_CREDENTIAL_CHARS and _VISIBLE.fullmatch(credential) is not None


def local_page(address: str | None) -> str:
    """Return a page of the console, the portfolio where the address leads elsewhere."""
    is_local = address and re.match(r"/(?![/\\])", address) and not address.startswith("/sign-")
    return address if address and is_local else "/"


async def session_for(client: AsyncRecoveryClient, credential: str) -> Session:
    """Return the session of a person that both services know. Raises RefusedError."""
    answers = await asyncio.gather(
        *(client.ask(call, credential) for call in (risk.me(), debt.me())), return_exceptions=True
    )
    failures = [answer for answer in answers if isinstance(answer, BaseException)]
    if failures:
        raise _refusal(failures)
    callers = [answer for answer in answers if not isinstance(answer, BaseException)]
    roles = [Role(caller["role"]) if caller["role"] else None for caller in callers]
    lowest = min((role for role in roles if role), key=list(Role).index) if all(roles) else None
    return Session(credential, callers[0]["actor"], lowest and lowest.value)


def _refusal(failures: list[BaseException]) -> RefusedError:
    for failure in failures:
        if not isinstance(failure, ClientError):
            raise failure
        if away := away_of(failure):
            return RefusedError(away.text.rstrip("."), 503)
    rejected = [failure for failure in failures if isinstance(failure, RejectedError)]
    names = [NAMES[failure.service] for failure in rejected]
    if len(names) == 2:
        return RefusedError("Both services refused this: the key or token is wrong, expired or revoked", 403)
    if rejected[0].status != 401:
        return RefusedError(f"The {names[0]} refused this: {rejected[0].detail}", 403)
    other = next(name for name in NAMES.values() if name not in names)
    hint = "An administrator lets the same key into both with `create-key --stdin`"
    return RefusedError(f"The {names[0]} refused this key; the {other} accepts it. {hint}", 403)
