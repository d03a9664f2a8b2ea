"""Which portfolios a caller may reach: all of them, or those that its key or token is bound to.

To a bound caller everything of another portfolio is as if it did not exist. Each route declares where the portfolio of
a request comes from; a bound caller is refused where a route declares nothing, so that a forgotten route is no hole.
"""

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum

import orjson

Portfolios = frozenset[str] | None
"""The portfolios of a caller; None for all of them."""

PORTFOLIO_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
MAX_PORTFOLIO_CHARS = 64
MAX_PORTFOLIOS = 100  # of one key
EVERY_PORTFOLIO = "*"
"""What a token's claim says when the token is for all portfolios."""


class Origin(StrEnum):
    """Where the portfolio of a request comes from."""

    PATH = "path"  # the thing that the path names belongs to one
    QUERY = "query"  # a parameter names it; without one, the caller's own portfolios are meant
    BODY = "body"  # the body names it
    CALLER = "caller"  # the answer has only what belongs to the caller's own portfolios
    NONE = "none"  # nothing of any portfolio is read or written
    SHARED = "shared"  # a thing that belongs to no portfolio; of portfolios it shows the caller's own
    ALL = "all"  # what belongs to all portfolios at once: refused to a bound caller


class PortfolioNotFoundError(LookupError):
    """There is no such portfolio, or the caller is not bound to it: the answer is the same."""

    def __init__(self) -> None:
        super().__init__("there is no such portfolio")


class WrongPortfoliosError(ValueError):
    """A key cannot be bound to these portfolios; the text says why."""


def admits(portfolios: Portfolios, name: str) -> bool:
    """Return whether these portfolios include one."""
    return portfolios is None or name in portfolios


def require(portfolios: Portfolios, name: str | None) -> None:
    """Raise PortfolioNotFoundError unless these portfolios include the one that a request names, if it names one."""
    if portfolios is not None and name is not None and name not in portfolios:
        raise PortfolioNotFoundError


def allows(portfolios: Portfolios, origins: Sequence[Origin]) -> bool:
    """Return whether a caller of these portfolios may use a route with these origins."""
    return portfolios is None or (bool(origins) and Origin.ALL not in origins)


def portfolios_in(names: Iterable[str]) -> Portfolios:
    """Return the portfolios that a token's claim names; no names are no portfolios."""
    found = frozenset(names)
    return None if EVERY_PORTFOLIO in found else found


def stored(names: Sequence[str]) -> str | None:
    """Return the portfolios of a key as its row has them, None for all. Raises WrongPortfoliosError."""
    if not names:
        return None
    for name in names:
        if len(name) > MAX_PORTFOLIO_CHARS or not re.fullmatch(PORTFOLIO_PATTERN, name):
            raise WrongPortfoliosError(
                "a portfolio has 1 to 64 letters, digits and . _ -, and begins with a letter or digit"
            )
    if len(set(names)) > MAX_PORTFOLIOS:
        raise WrongPortfoliosError(f"a key is bound to at most {MAX_PORTFOLIOS} portfolios")
    return orjson.dumps(sorted(set(names))).decode()


def loaded(text: str | None) -> Portfolios:
    """Return the portfolios in a key's row."""
    return None if text is None else frozenset(orjson.loads(text))
