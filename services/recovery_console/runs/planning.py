"""The consequences of a new run, from the API's preview: how many, who is left out and why, what has changed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from recovery_client.run_shapes import Preview, RankedDebtor, Run
from recovery_console import words
from recovery_console.formatting import Reader
from recovery_console.runs.form import RunForm

BATCH_SIZE_PROBLEM = "Write a whole number from 1 to 1,000."


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A reason for which debtors are left out: its code, its words, and how many they are."""

    code: str
    text: str
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """One number beside that of the last run."""

    label: str
    before: int
    now: int

    @property
    def change(self) -> int:
        """How much it has grown; negative where it has shrunk."""
        return self.now - self.before


@dataclass(frozen=True, slots=True)
class Consequences:
    """What a run with these options would do now."""

    ranked: int
    high: int
    standard: int
    batches: int
    left_out: Sequence[LeftOut]
    top: Sequence[RankedDebtor]
    policy: str
    differences: Sequence[Difference]
    last: Run | None
    button: str

    @property
    def left_out_total(self) -> int:
        """How many debtors are left out altogether."""
        return sum(one.count for one in self.left_out)


def consequences(preview: Preview, form: RunForm, last: Run | None, reader: Reader) -> Consequences:
    """Return what the run would do. `last` is the last completed run of the same portfolio."""
    high, standard = preview["lanes"].get("high", 0), preview["lanes"].get("standard", 0)
    size = form.batch_size or 1
    batches = in_batches(high, size) + in_batches(standard, size)
    return Consequences(
        preview["ranked"],
        high,
        standard,
        batches,
        left_out(preview["excluded"]),
        preview["top"],
        f"{preview['policy']['name']} version {preview['policy']['version']}",
        differences(preview, last) if last else (),
        last,
        button(preview["ranked"], batches, reader),
    )


def in_batches(debtors: int, size: int) -> int:
    """Return how many batches of this size a lane is cut into."""
    return -(-debtors // size)


def button(debtors: int, batches: int, reader: Reader) -> str:
    """Return what the button says: exactly what it does."""
    return f"Start: {reader.counted(debtors, 'debtor')} in {reader.counted(batches, 'batch', 'batches')}"


def left_out(excluded: Mapping[str, int]) -> list[LeftOut]:
    """Return why debtors are left out, in the order of the API."""
    return [LeftOut(code, words.reason(code), count) for code, count in excluded.items() if count]


def differences(preview: Preview, last: Run) -> list[Difference]:
    """Return the numbers of the preview that differ from those of the last run."""
    ranked, high = last["debtors_ranked"] or 0, last["debtors_high"] or 0
    pairs = [
        ("ranked", ranked, preview["ranked"]),
        ("high", high, preview["lanes"].get("high", 0)),
        ("standard", ranked - high, preview["lanes"].get("standard", 0)),
        *(
            (words.reason(code), last["excluded"].get(code, 0), preview["excluded"].get(code, 0))
            for code in dict.fromkeys([*preview["excluded"], *last["excluded"]])
        ),
    ]
    return [Difference(*pair) for pair in pairs if pair[1] != pair[2]]
