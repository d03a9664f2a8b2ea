"""Whether a request takes effect or is given up: decided once, so that nobody is told 503 of what happens all the same.

A thread in a database call can't be interrupted. It asks here before it waits for a lock and before it commits.
"""

import threading


class TooLateError(Exception):
    """The client has been told that its request failed, so it must have no effect any more."""


class Verdict:
    """The one decision about a request, whichever side comes first: its time is over, or it is about to commit."""

    def __init__(self) -> None:
        self._deciding = threading.Lock()
        self._given_up = False
        self._takes_effect = False

    def give_up(self) -> bool:
        """Let it have no effect; tell whether that could still be had."""
        with self._deciding:
            self._given_up = not self._takes_effect
            return self._given_up

    def check(self) -> None:
        """Raise TooLateError when it was given up."""
        if self._given_up:
            raise TooLateError

    def take_effect(self) -> None:
        """Let it have its effect, to be called just before its commit. Raises TooLateError when it was given up."""
        with self._deciding:
            self.check()
            self._takes_effect = True
