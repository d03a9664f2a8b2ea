"""The JSON that the APIs answer with about runs, their results and the queues."""

from typing import Any, TypedDict

from recovery_client.shapes import Counts, PolicyRef, Reason


class Run(TypedDict):
    """A run: what was asked for, what it became, how far it is."""

    id: str
    portfolio: str
    state: str
    batch_size: int
    threshold: str
    limit: int | None
    unit: str
    filters: dict[str, Any] | None
    capacities: Counts | None
    policy: PolicyRef
    as_of: str
    debtors_ranked: int | None
    debtors_high: int | None
    excluded: Counts
    batches_total: int | None
    batches_sent: int
    batches_done: int
    batches_dead: int
    batches_cancelled: int
    batches_by_lane: dict[str, Counts]
    manifest_hash: str | None
    created_at: str
    planned_at: str | None
    published_at: str | None
    completed_at: str | None
    error: str | None


class Stretch(TypedDict):
    """Batches one after the other, of one lane and in one state."""

    lane: str
    state: str
    first: int
    last: int


class RunBatches(TypedDict):
    """The batches of a run in their order."""

    run_id: str
    stretches: list[Stretch]


class RankedDebtor(TypedDict):
    """One line of a preview."""

    rank: int
    debtor_id: int
    name: str
    lane: str
    priority: str
    total_score: int
    risk_level: str
    total_debt_amount: str


class Preview(TypedDict):
    """What a run would do now."""

    ranked: int
    lanes: Counts
    excluded: Counts
    top: list[RankedDebtor]
    policy: PolicyRef
    threshold: str
    unit: str
    capacities: Counts | None


class Exclusion(TypedDict):
    """A debtor that a run left out, and why."""

    debtor_id: int
    reason: str
    hold_id: str | None
    lead_debtor_id: int | None


class Place(TypedDict):
    """A debtor beside another one in the order of a run."""

    debtor_id: int
    priority: str
    difference: str


class Explanation(TypedDict, total=False):
    """Why a debtor stands where it stands in a run; an excluded one has only the reason."""

    run_id: str
    debtor_id: int
    outcome: str
    reason: str | None
    hold_id: str | None
    lead_debtor_id: int | None
    rank: int | None
    of: int
    lane: str
    batch_sequence: int
    position: int
    priority: str
    total_score: int
    total_debt_amount: str
    policy: PolicyRef
    as_of: str
    factors: dict[str, dict[str, Any]]
    above: Place | None
    below: Place | None
    debt_to_pass_above: str | None
    moves: list[dict[str, Any]]


class Change(TypedDict):
    """One debtor that is new, gone or moved. A rank is null on the side where the debtor is not ranked."""

    debtor_id: int
    change: str
    reason: str | None
    rank_before: int | None
    rank_after: int | None
    level_before: str | None
    level_after: str | None
    lane_before: str | None
    lane_after: str | None


Comparison = TypedDict(
    "Comparison",
    {
        "run_id": str,
        "with": str,
        "new": int,
        "gone": Counts,
        "moved": int,
        "unchanged": int,
        "levels": dict[str, Counts],
        "items": list[Change],
        "next_cursor": str | None,
    },
)


class Decision(TypedDict):
    """What was concluded for one debtor in one run."""

    run_id: str
    debtor_id: int
    batch_sequence: int
    position: int
    lane: str
    high_priority: bool
    priority: str
    total_score: int
    risk_level: str
    action: str
    reasons: list[Reason]
    blocked: list[str]
    stops_seen: int | None
    decided_at: str


class Skip(TypedDict):
    """One debtor that was not decided because something had changed."""

    run_id: str
    debtor_id: int
    batch_sequence: int
    position: int
    reason: str
    detail: str
    recorded_at: str


class RunError(TypedDict):
    """One debtor that could not be decided, and why."""

    run_id: str
    debtor_id: int | None
    batch_sequence: int
    position: int
    stage: str
    error: str
    detail: str
    recorded_at: str


class Report(TypedDict):
    """What came of a run so far."""

    run_id: str
    state: str
    portfolio: str
    policy: PolicyRef
    as_of: str
    threshold: str
    debtors_total: int
    debtors_processed: int
    succeeded: int
    failed: int
    skipped: int
    skip_reasons: Counts
    high_priority: int
    batches_total: int
    batches_processed: int
    started_at: str | None
    finished_at: str | None
    processing_seconds: float
    debtors_per_second: float
    actions: Counts
    levels: Counts
    actions_by_level: dict[str, Counts]
    error_kinds: Counts
    first_errors: list[RunError]


class LaneDepth(TypedDict):
    """What is in the queue of one lane, as approximately as SQS counts."""

    lane: str
    queue: str
    waiting: int
    in_flight: int
    dead: int
    oldest_seconds: int | None


class Queues(TypedDict):
    """Every lane, the more urgent one first."""

    lanes: list[LaneDepth]


class DeadLetter(TypedDict):
    """A message that could not be processed."""

    message_id: str
    lane: str
    batch_id: str | None
    run_id: str | None
    sequence: int | None
    reason: str
    receive_count: int | None
    failed_at: str | None
    sent_at: str
    size: int


class Redriven(TypedDict):
    """What was sent back."""

    redriven: int
    failed: int
    lanes: Counts
    not_found: list[str]
