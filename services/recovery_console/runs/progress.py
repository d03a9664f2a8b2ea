"""A run as it is worked: how far, how fast, how long still, what became of each batch, and in the end its report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from recovery_charts.bars import Stack, stacked
from recovery_charts.figure import Chart, Key
from recovery_charts.strip import Lane, strip
from recovery_charts.textures import SERIES
from recovery_client.run_shapes import Report, Run, Skip, Stretch
from recovery_console import words
from recovery_console.failures import Away
from recovery_console.formatting import Reader
from recovery_console.runs.planning import LeftOut, left_out

OVER = frozenset({"completed", "cancelled", "failed"})
_KEYS = (
    Key("worked", "done"),
    Key("dead", "dead"),
    Key("sent", "sent"),
    Key("planned", "planned"),
    Key("cancelled", "cancelled"),
)
_SENTENCES = {
    "accepted": "Accepted; the dispatcher takes it next.",
    "planning": "The portfolio is being ranked.",
    "publishing": "Batches are being sent and worked.",
    "published": "All batches are sent, and are being worked.",
    "completed": "Completed: every batch is accounted for.",
    "cancelled": "Cancelled: what was not sent stays unsent.",
    "failed": "Failed.",
}


@dataclass(frozen=True, slots=True)
class Findings:
    """What is known of a run at one moment: the debt service's report, the first skips, and whether it is away."""

    report: Report | None = None
    skips: Sequence[Skip] = ()
    away: Away | None = None
    batches: Sequence[Stretch] | None = None
    """Each batch at its place, as the risk service has it; None while it does not say."""


@dataclass(frozen=True, slots=True)
class Progress:
    """A run as the page shows it."""

    run: Run
    findings: Findings
    percent: int
    processed: int
    total: int | None
    per_second: str | None
    seconds_left: int | None
    sentence: str
    options: Sequence[tuple[str, str]]
    left_out: Sequence[LeftOut]
    strip: Chart
    report: Chart | None

    @property
    def is_over(self) -> bool:
        """Whether the run will not change any more."""
        return self.run["state"] in OVER

    @property
    def title(self) -> str:
        """What the tab says: the percentage first, so that it can be read in a narrow tab."""
        state = self.run["state"].capitalize() if self.is_over else f"{self.percent} %"
        return f"{state} · Run {short(self.run['id'])}"


def progress(run: Run, findings: Findings, reader: Reader) -> Progress:
    """Return a run with what the debt service knows of it."""
    report = findings.report
    processed, total = (report["debtors_processed"] if report else 0), run["debtors_ranked"]
    rate = report["debtors_per_second"] if report else 0
    over = run["state"] in OVER
    left = int((total - processed) / rate) if rate > 0 and total is not None and not over else None
    return Progress(
        run,
        findings,
        percent_of(run, processed),
        processed,
        total,
        reader.number(round(rate)) if rate > 0 else None,
        left,
        _SENTENCES.get(run["state"], run["state"]),
        options_of(run, reader),
        left_out(run["excluded"]),
        batch_strip(run, findings.batches, reader),
        by_level(report, reader) if report else None,
    )


def options_of(run: Run, reader: Reader) -> list[tuple[str, str]]:
    """Return what the run was asked for, as names with their texts; only what narrows it."""
    filters, capacities = run["filters"] or {}, run["capacities"] or {}
    listed = [
        words.plain(value).lower() for name in ("risk_level", "payment_status") for value in filters.get(name) or ()
    ]
    bounds = [
        f"debt {text} {reader.number(filters[name])}"
        for name, text in (("min_debt", "from"), ("max_debt", "to"))
        if filters.get(name)
    ]
    room = [f"{words.plain(action).lower()} {reader.number(count)}" for action, count in capacities.items()]
    found = [("Only", ", ".join(listed + bounds)), ("Capacities", ", ".join(room))]
    accounts = [("Ranks", "every account")] if run["unit"] == "account" else []
    return accounts + [(name, text) for name, text in found if text]


def percent_of(run: Run, processed: int) -> int:
    """Return how far a run is in whole percent; 100 only once it is completed."""
    if run["state"] == "completed":
        return 100
    total = run["debtors_ranked"]
    return min(99, 100 * processed // total) if total else 0


def batch_strip(run: Run, batches: Sequence[Stretch] | None, reader: Reader) -> Chart:
    """Return the strip of batches, the lanes apart, each batch at its place; by state where no place is known."""
    tones = [key.tone for key in _KEYS]
    if batches is None:
        counted = run["batches_by_lane"].items()
        lanes = [Lane(name, [(at, counts[tone]) for at, tone in enumerate(tones)]) for name, counts in counted]
    else:
        lanes = [
            Lane(
                name,
                [(tones.index(one["state"]), one["last"] - one["first"] + 1) for one in batches if one["lane"] == name],
            )
            for name in run["batches_by_lane"]
        ]
    return strip("batches", "Batches", _KEYS, lanes, reader.number, urgent="dead")


def by_level(report: Report, reader: Reader) -> Chart:
    """Return the actions of each level, as parts of a bar and as a table."""
    actions = [action for action in words.ACTIONS if report["actions"].get(action)]
    keys = [Key(words.plain(action), SERIES[words.ACTIONS.index(action)]) for action in actions]
    rows = [
        Stack(words.plain(level), values, [reader.number(value) for value in values])
        for level in words.LEVELS
        if (values := [report["actions_by_level"].get(level, {}).get(action, 0) for action in actions])
    ]
    return replace(stacked("actions", "Actions by level", keys, rows, heading="Level"), is_open=True)


def short(run_id: str) -> str:
    """Return the beginning of an id, by which people know runs."""
    return run_id[:8]
