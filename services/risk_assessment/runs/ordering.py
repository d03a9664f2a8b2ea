"""Puts eligible debtors into the order of a run: by priority, one a person, as far as their actions have room."""

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection

from recovery_core.holds import Block
from recovery_core.ranking.capacities import RankedActions
from recovery_core.ranking.exclusions import Excluded, Exclusion
from recovery_core.ranking.queue import Entry, RecoveryQueue
from recovery_core.ranking.worklist import Cut, worklist
from recovery_core.scoring.scorer import Scorer
from risk_assessment.batches.messages import inputs_of


class SnapshotActions:
    """The actions of ranked debtors, by what a snapshot knows of them; `partly` is what holds block of some."""

    def __init__(self, connection: Connection, scorer: Scorer, threshold: int, partly: Mapping[int, Block]) -> None:
        self._connection, self._score, self._partly = connection, scorer.score, partly
        self._action = RankedActions(scorer.policy, threshold).action

    def __call__(self, entries: Sequence[Entry]) -> list[str | None]:
        """Return the action of each entry; payloads are versions."""
        inputs = inputs_of(self._connection, entries)
        found = []
        for priority, debtor_id, version in entries:
            _, _, *facts, status = inputs[debtor_id, version]
            block = self._partly.get(debtor_id)
            found.append(self._action(priority, self._score(facts), facts, status, block.mask if block else 0))
        return found


class Order:
    """The queue of one ranking. It keeps the best debtors up to the limit, unless the whole order must be known."""

    def __init__(
        self, cut: Cut, actions: SnapshotActions, excluded: Excluded, *, last_person: int, spill_after: int
    ) -> None:
        self._cut, self._actions, self._excluded, self._last_person = cut, actions, excluded, last_person
        self._needs_all = cut.needs_all(last_person)
        self._queue = RecoveryQueue(limit=None if self._needs_all else cut.limit, spill_after=spill_after)
        self._taken_in = 0

    def __enter__(self) -> "Order":
        return self

    def __exit__(self, *_: object) -> None:
        self._queue.close()

    def take_in(self, entries: Sequence[Sequence[int]]) -> None:
        """Add eligible debtors, with person and version as payload."""
        self._queue.extend(entries)
        self._taken_in += len(entries)

    def entries(self) -> Iterable[Entry]:
        """Return what is ranked, in order, with the version as payload; the others are added to the excluded."""
        cut = self._cut
        if not self._needs_all:
            self._excluded.count(Exclusion.LIMIT, self._taken_in - len(self._queue))
            cut = cut._replace(limit=None)
        return worklist(self._queue.drain(), cut, self._excluded, self._actions, self._last_person)
