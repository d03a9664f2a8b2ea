"""What a person sees where a page cannot be shown: which service failed, how, and what they can do.

A page opens with its own status. Where htmx asked, only the text is sent, for the place that the page has for it.
"""

from dataclasses import dataclass

from recovery_client.calls import Service
from recovery_client.errors import ClientError, RejectedError, UnreachableError

NAMES = {Service.RISK.value: "risk service", Service.DEBT.value: "debt service"}
_AWAY = frozenset({500, 502, 503, 504})
_TITLES = {
    403: "You may not do this",
    404: "There is no such page",
    409: "It is in another state by now",
    412: "It has changed meanwhile",
    422: "This cannot be done",
    429: "Too many requests",
}


class SignInNeededError(Exception):
    """The page is for people who have signed in. `refused_by` names a service that no longer accepts their key."""

    def __init__(self, refused_by: str | None = None) -> None:
        super().__init__("sign in first")
        self.refused_by = refused_by


class MissingRoleError(Exception):
    """The person may not do this; the text names the role that may."""

    def __init__(self, needed: str, role: str | None) -> None:
        super().__init__(f"This needs the role {needed}; {f'you are {role}' if role else 'you have none'}.")


@dataclass(frozen=True, slots=True)
class Away:
    """A service that does not answer, in place of its answer."""

    service: str
    text: str


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no page: its status, a title and a text for people. `service` is set while it does not answer."""

    status: int
    title: str
    text: str
    service: str | None = None
    retry_after: int | None = None


def away_of(error: ClientError) -> Away | None:
    """Return which service does not answer; None where it did, with another problem."""
    if isinstance(error, UnreachableError):
        name = _name(error.service)
        return Away(error.service, f"The {name} does not answer. This page goes on by itself as soon as it does.")
    if isinstance(error, RejectedError) and error.status in _AWAY:
        name = _name(error.service)
        return Away(error.service, f"The {name} does not answer as it should: {_sentence(error.detail)}")
    return None


def failure_of(error: Exception) -> Failure:
    """Return what a person reads about an error. Raises SignInNeededError where the key is no longer accepted."""
    if isinstance(error, MissingRoleError):
        return Failure(403, _TITLES[403], str(error))
    if isinstance(error, ClientError) and (away := away_of(error)):
        return Failure(503, f"The {_name(away.service)} does not answer", away.text, away.service)
    if not isinstance(error, RejectedError):
        return Failure(500, "Something went wrong", "The error is logged. Please try again.")
    if error.status == 401:
        raise SignInNeededError(_name(error.service))
    if error.status == 429:
        wait = int(error.retry_after or 5)
        text = f"The {_name(error.service)} had too many requests from you. Try again in {wait} s."
        return Failure(429, _TITLES[429], text, retry_after=wait)
    status = error.status if error.status in _TITLES else 422
    return Failure(status, _TITLES[status], _sentence(error.detail))


def _name(service: str) -> str:
    return NAMES.get(service, service)


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?')) else '.'}"
