"""Rate limits: a token bucket for each client, in the memory of this process, for a bounded number of clients."""

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

from starlette.types import Scope

MAX_CLIENTS = 10_000
IPV6_PREFIX = 64  # what one subscriber is given, so one client


class RateLimit:
    """So many requests a minute for each client. An idle client may use a whole minute's budget at once."""

    def __init__(
        self, per_minute: int, *, max_clients: int = MAX_CLIENTS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._capacity = float(per_minute)
        self._per_second = per_minute / 60
        self._max_clients = max_clients
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, client: str) -> int:
        """Count one request; return 0 when it may proceed, else the seconds until the next may."""
        now = self._clock()
        tokens, counted_at = self._buckets.pop(client, (self._capacity, now))
        tokens = min(self._capacity, tokens + (now - counted_at) * self._per_second)
        wait = 0 if tokens >= 1 else math.ceil((1 - tokens) / self._per_second)
        self._buckets[client] = (tokens if wait else tokens - 1, now)
        # The client that has been idle the longest has the fullest bucket, so forgetting it gives away the least.
        while len(self._buckets) > self._max_clients:
            self._buckets.popitem(last=False)
        return wait

    def give_back(self, client: str) -> None:
        """Undo one `take`: it has turned out that another client is to be counted."""
        if client in self._buckets:
            tokens, counted_at = self._buckets[client]
            self._buckets[client] = (min(self._capacity, tokens + 1), counted_at)

    @property
    def remembered(self) -> int:
        """How many clients are remembered."""
        return len(self._buckets)


def address_of(scope: Scope) -> str:
    """Return the client of a request by its address; IPv6 by its network."""
    return _client_at(scope["client"][0] if scope.get("client") else "unknown")


@lru_cache(maxsize=1_000)
def _client_at(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return f"address:{host}"
    if isinstance(address, IPv6Address):
        return f"address:{ip_network((int(address), IPV6_PREFIX), strict=False)}"
    return f"address:{address}"
