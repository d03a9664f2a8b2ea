"""What was read of a portfolio is kept in memory as long as a second look would find the same.

A result is kept until debtors or holds of the portfolio change, or a hold begins or ends by itself; at most ten
minutes, because writes of the version before, and those by hand, count no change.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from datetime import datetime, timedelta
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import Connection

from risk_assessment.changes.queries import State, state_of

T = TypeVar("T")
MOST = 32
"""How many results are kept; the one that was not asked for longest is dropped first."""
KEPT = timedelta(minutes=10)


class KeptResults:
    """Results by portfolio and by what they are. Threads share it; each result is computed by one of them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: OrderedDict[Hashable, _Result] = OrderedDict()

    def of(
        self,
        connection: Connection,
        portfolio: str,
        what: Hashable,
        at: datetime,
        make: Callable[[], T],
        until: Callable[[], datetime | None],
    ) -> T:
        """Return what `make` returns for this snapshot at this moment, or returned for an equal one.

        `what` names the result and everything that it depends on, but for debtors and holds. `until` returns the
        next moment at which a hold begins or ends by itself.
        """
        result = self._result((str(connection.engine.url), portfolio, what))
        state = state_of(connection, portfolio)
        with result.lock:
            if not result.is_of(state, at):
                result.fill(state, at, until(), make())
            found: T = result.value
        return found

    def _result(self, key: Hashable) -> "_Result":
        with self._lock:
            result = self._found.setdefault(key, _Result())
            self._found.move_to_end(key)
            while len(self._found) > MOST:
                self._found.popitem(last=False)
            return result


class _Result:
    def __init__(self) -> None:
        self.lock = Lock()
        self.value: Any = None
        self._of: tuple[State, datetime, datetime | None] | None = None

    def is_of(self, state: State, at: datetime) -> bool:
        """Return whether it is there and is of an equal portfolio."""
        if self._of is None:
            return False
        made_of, made_at, until = self._of
        return made_of == state and made_at <= at < made_at + KEPT and (until is None or at < until)

    def fill(self, state: State, at: datetime, until: datetime | None, value: Any) -> None:
        """Keep a value of this state from this moment on."""
        self._of, self.value = (state, at, until), value
