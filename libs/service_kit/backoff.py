"""Waiting times between retries: exponential, capped, with full jitter. It computes waits and never sleeps itself."""

import random


class Backoff:
    """A growing random wait: each `next()` draws between zero and a ceiling that doubles from `base` to `cap` seconds.

    Full jitter spreads clients that lost the same server at the same moment
    (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/).
    """

    def __init__(self, base: float = 0.2, cap: float = 30.0, rng: random.Random | None = None) -> None:
        if not 0 < base <= cap:
            raise ValueError(f"a backoff needs 0 < base <= cap, not base={base} and cap={cap}")
        self._base = base
        self._cap = cap
        self._ceiling = base
        self._rng = rng or random.Random()  # noqa: S311 - spreads load, guards no secret

    def next(self) -> float:
        """Return the seconds to wait before the next attempt."""
        wait = self._rng.uniform(0, self._ceiling)
        self._ceiling = min(self._cap, self._ceiling * 2)
        return wait

    def reset(self) -> None:
        """Start again from `base`, after a success."""
        self._ceiling = self._base
