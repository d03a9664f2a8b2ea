"""The rank of each row of the table, with as few questions as prove it.

The service counts the rank of one debtor at a time, and a page waits for that only so long. In a table without
filters, rows between two ranked ones are all eligible exactly if the ranks differ by as much as the places: then the
ranks between follow without a question.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from recovery_client.errors import RejectedError
from recovery_client.shapes import Debtor, Rank

AskRank = Callable[[int], Awaitable[Rank]]
AT_ONCE = 6
"""Questions at a time: the service answers a few beside each other, and others need it too."""


async def ranks_of(
    debtors: Sequence[Debtor], ask: AskRank, *, whole: bool, seconds: float | None = None
) -> Mapping[int, dict[str, Any]]:
    """Return `rank` and `reason` of each debtor by its id, without those that take longer than `seconds`.

    With `whole`, the rows leave out no debtor of the order.
    """
    asking = _Asking(ask)
    rows = [debtor["id"] for debtor in debtors if debtor["payment_status"] != "PAID"]
    asking.known.update(
        (debtor["id"], {"rank": None, "reason": "PAID"}) for debtor in debtors if debtor["payment_status"] == "PAID"
    )
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await _ask_all(asking, rows, whole)
    return asking.known


async def _ask_all(asking: "_Asking", rows: Sequence[int], whole: bool) -> None:
    if not whole:
        await asyncio.gather(*map(asking.look, rows))
    elif rows:
        await asyncio.gather(asking.look(rows[0]), asking.look(rows[-1]))
        await asking.fill(rows)


class _Asking:
    """The ranks that are known so far."""

    def __init__(self, ask: AskRank) -> None:
        self._ask = ask
        self._slots = asyncio.Semaphore(AT_ONCE)
        self.known: dict[int, dict[str, Any]] = {}

    async def look(self, debtor_id: int) -> None:
        """Ask for one rank. A debtor who was deleted meanwhile has none."""
        if debtor_id in self.known:
            return
        async with self._slots:
            try:
                answer = await self._ask(debtor_id)
            except RejectedError as error:
                if error.status != 404:
                    raise
                self.known[debtor_id] = {"rank": None, "reason": "DELETED"}
                return
        self.known[debtor_id] = {"rank": answer["rank"], "reason": answer["reason"]}

    async def fill(self, rows: Sequence[int]) -> None:
        """Find the ranks between the first and the last row, which are known."""
        if len(rows) <= 2:
            return
        first, last = self.known[rows[0]]["rank"], self.known[rows[-1]]["rank"]
        if first is not None and last is not None and last - first == len(rows) - 1:
            self.known.update(
                (debtor_id, {"rank": first + place, "reason": None}) for place, debtor_id in enumerate(rows)
            )
            return
        middle = len(rows) // 2
        await self.look(rows[middle])
        await asyncio.gather(self.fill(rows[: middle + 1]), self.fill(rows[middle:]))
