"""What the page of operations shows: a sentence first, then lanes, workers, and dead letters by reason."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from recovery_client.run_shapes import DeadLetter, LaneDepth, Redriven, Run
from recovery_client.shapes import Worker
from recovery_console.formatting import Reader, seconds
from recovery_console.words import plain

SLOW_SECONDS = 300
"""A message that waits for longer is worth a sentence, although consumers are at work."""
WELL = "All well"
_UNFINISHED = ("planning", "publishing", "published")


@dataclass(frozen=True, slots=True)
class Condition:
    """The state of the system in sentences, the most urgent first; `well` while none of them is a complaint."""

    sentences: tuple[str, ...]
    well: bool


@dataclass(frozen=True, slots=True)
class DeadGroup:
    """Dead letters that failed for the same reason."""

    reason: str
    count: int
    lanes: str
    runs: tuple[str, ...]
    first_sent_at: str


def condition(
    lanes: Sequence[LaneDepth],
    consumers: Sequence[Worker],
    dispatchers: Sequence[Worker] | None,
    waits: float | None,
    reader: Reader,
) -> Condition:
    """Return the sentences. `dispatchers` is None while the risk service does not answer.

    `waits` is for how many seconds batches wait at most, where the queue itself does not say it.
    """
    found = [
        *(text for lane in lanes for text in _lane(lane, consumers, waits)),
        *_loops("consumer", "batches", consumers, reader),
        *(() if dispatchers is None else _loops("dispatcher", "runs", dispatchers, reader)),
        *(text for lane in lanes for text in _dead(lane, reader)),
    ]
    return Condition(tuple(found) or (WELL,), not found)


def waiting_seconds(runs: Iterable[Run], now: datetime) -> float | None:
    """Return since when batches of the oldest unfinished run may wait, in seconds; None where no batch waits."""
    sent = (run["planned_at"] or run["created_at"] for run in runs if _waits(run))
    oldest = min(sent, default=None)
    return None if oldest is None else max(0.0, (now - datetime.fromisoformat(oldest)).total_seconds())


def dead_groups(letters: Iterable[DeadLetter]) -> list[DeadGroup]:
    """Return dead letters by reason, the most frequent first."""
    by_reason: dict[str, list[DeadLetter]] = {}
    for letter in letters:
        by_reason.setdefault(letter["reason"], []).append(letter)
    groups = (_group(reason, found) for reason, found in by_reason.items())
    return sorted(groups, key=lambda group: (-group.count, group.reason))


def redriven_text(done: Redriven, reader: Reader) -> str:
    """Return in a sentence what came back from a redrive."""
    if not done["redriven"] and not done["failed"]:
        return "No dead letter was found: nothing was sent back."
    lanes = ", ".join(f"{reader.number(count)} {lane}" for lane, count in done["lanes"].items() if count)
    text = f"Sent back {reader.counted(done['redriven'], 'dead letter')}{f': {lanes}' if lanes else ''}."
    if done["failed"]:
        text += f" The queue refused {reader.number(done['failed'])}; they stay where they are."
    return text


def dead_text(lanes: Sequence[LaneDepth], reader: Reader) -> str:
    """Return in a sentence how many dead letters a redrive would send back."""
    total = sum(lane["dead"] for lane in lanes)
    if not total:
        return "There are no dead letters."
    parts = ", ".join(f"{reader.number(lane['dead'])} {lane['lane']}" for lane in lanes if lane["dead"])
    return f"{reader.counted(total, 'dead letter')}: {parts}."


def _lane(lane: LaneDepth, consumers: Sequence[Worker], waits: float | None) -> Iterator[str]:
    if not lane["waiting"]:
        return
    name = f"{plain(lane['lane'])} lane"
    age = waits if lane["oldest_seconds"] is None else lane["oldest_seconds"]
    since = "" if age is None else f" for {_duration(age)}"
    causes = {consumer["waiting_for"] for consumer in consumers}
    if not consumers:
        yield f"{name} stuck{since}: no consumer"
    elif None not in causes:
        yield f"{name} stuck{since}: every consumer waits for {' and '.join(sorted(filter(None, causes)))}"
    elif (lane["oldest_seconds"] or 0) >= SLOW_SECONDS:
        yield f"{name} slow: its oldest batch has waited for {_duration(lane['oldest_seconds'] or 0)}"


def _loops(kind: str, work: str, workers: Sequence[Worker], reader: Reader) -> Iterator[str]:
    if not workers:
        yield f"No {kind} is running: {work} wait"
    for cause, count in _waiting_for(workers).items():
        yield (
            f"{reader.counted(count, kind)} of {reader.number(len(workers))} waits for {cause}"
            if count == 1
            else (f"{reader.counted(count, kind)} of {reader.number(len(workers))} wait for {cause}")
        )


def _waiting_for(workers: Iterable[Worker]) -> Mapping[str, int]:
    counts: dict[str, int] = {}
    for worker in workers:
        if worker["waiting_for"]:
            counts[worker["waiting_for"]] = counts.get(worker["waiting_for"], 0) + 1
    return counts


def _dead(lane: LaneDepth, reader: Reader) -> Iterator[str]:
    if lane["dead"]:
        yield f"{plain(lane['lane'])} lane has {reader.counted(lane['dead'], 'dead letter')}"


def _group(reason: str, letters: Sequence[DeadLetter]) -> DeadGroup:
    lanes = ", ".join(sorted({letter["lane"] for letter in letters}))
    runs = tuple(dict.fromkeys(letter["run_id"] for letter in letters if letter["run_id"]))
    return DeadGroup(reason, len(letters), lanes, runs, min(letter["sent_at"] for letter in letters))


def _waits(run: Run) -> bool:
    return run["state"] in _UNFINISHED and run["batches_sent"] > run["batches_done"] + run["batches_dead"]


def _duration(count: float) -> str:
    return seconds(count).replace("\u00a0", " ")
