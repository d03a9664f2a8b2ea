"""What the debt service counts and times, in one place so that dashboards have one list to read."""

from recovery_core.decisions.decide import Stage
from recovery_core.decisions.restraints import SKIP_REASONS
from recovery_core.policies.parts import LANES, Action, RiskLevel
from service_kit.observability.metrics import Counter, Gauge, Histogram

DECISIONS = Counter("debt_decisions_total", "Decisions recorded", ["action", "level"])
ERRORS = Counter("debt_errors_total", "Debtors that could not be decided", ["stage"])
SKIPS = Counter("debt_skips_total", "Debtors that were not decided because something had changed", ["reason"])
BATCHES = Counter("debt_batches_total", "Batches by outcome", ["outcome", "lane"])
BATCH_SECONDS = Histogram(
    "debt_batch_seconds",
    "Time to decide and record one batch",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
BATCH_DEBTORS = Histogram("debt_batch_debtors", "Debtors a batch", buckets=(1, 10, 50, 100, 200, 500, 1_000))
MESSAGE_WAIT_SECONDS = Histogram(
    "debt_message_wait_seconds",
    "Time from the sending of a message to its arrival here",
    ["lane"],
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 5, 15, 60, 300, 900, 3600),
)
SCORE_MISMATCHES = Counter(
    "debt_score_mismatches_total", "Debtors whose score in the message differs from the one computed here"
)
REDELIVERIES = Counter("debt_redeliveries_total", "Messages received that had been received before", ["lane"])
LEASE_EXTENSIONS = Counter(
    "debt_lease_extensions_total", "Times the visibility timeout of a received message was extended"
)
LEASES_LOST = Counter("debt_leases_lost_total", "Received messages that became visible to other consumers")
OWN_BATCHES = Gauge("debt_held_batches", "Batches in this consumer: waiting in memory, in process, or not yet reported")
RESULTS_PENDING = Gauge("debt_results_pending", "Batches processed and not yet reported and deleted")
QUEUE_MESSAGES = Gauge("debt_queue_messages", "Messages in a lane's queues, by where they are", ["lane", "state"])
STOPS_THROUGH = Gauge("debt_stops_through", "The stop up to which all are known")
STOPS_LAG = Gauge("debt_stops_lag_seconds", "How old what is known of stops is; 0 before anything is known")
STOPS_REFUSED = Counter("debt_stops_refused_total", "Messages in the queue of stops that were not believed")
OUTAGES = Counter("debt_outages_total", "Times the database or the queues were away, or stops were too old", ["what"])

# Shown from the start, so that the first of each is seen as a change.
for lane in LANES:
    for outcome in ("done", "repeated", "failed", "dead"):
        BATCHES.labels(outcome, lane)
    REDELIVERIES.labels(lane)
    MESSAGE_WAIT_SECONDS.labels(lane)
for stage in Stage:
    ERRORS.labels(stage)
for reason in SKIP_REASONS:
    SKIPS.labels(reason)
for action in Action:
    for level in RiskLevel:
        DECISIONS.labels(action, level)
for what in ("database", "queues", "stops"):
    OUTAGES.labels(what)
