"""What the risk service counts and times, in one place so that dashboards have one list to read."""

from recovery_core.messages.results import Outcome
from recovery_core.policies.parts import LANES
from service_kit.observability.metrics import Counter, Gauge, Histogram

RUNS = Counter("risk_runs_total", "Runs that reached a stage", ["stage"])
RUN_SECONDS = Histogram(
    "risk_run_seconds",
    "Time from a run's acceptance to its completion",
    buckets=(0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 14400),
)
BATCHES = Counter("risk_batches_total", "Batches by outcome", ["outcome", "lane"])
REPORTS_REFUSED = Counter(
    "risk_reports_refused_total", "Reports that did not fit what was sent, and were not believed", ["reason"]
)
OUTSTANDING = Gauge("risk_batches_outstanding", "Batches sent and not yet reported done")
OLDEST = Gauge("risk_oldest_outstanding_seconds", "How long ago the oldest of these was last sent")
STOPS_PENDING = Gauge("risk_stops_pending", "Places of the feed of stops that the debt service has not acknowledged")
STOPS_SENT = Counter("risk_stops_sent_total", "States of debtors sent in the feed of stops, repeats included")
LEASE_HELD = Gauge("risk_lease_held", "1 while this dispatcher is the one that works")
PLAN_SECONDS = Histogram(
    "risk_plan_seconds", "Time to rank a portfolio and write its plan", buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
)
SEND_SECONDS = Histogram(
    "risk_send_seconds", "Time to send a shipment of batches", buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
)
MESSAGE_BYTES = Histogram(
    "risk_message_bytes", "Size of a batch's message", buckets=(4_096, 16_384, 32_768, 65_536, 131_072, 262_144)
)
RANKED = Counter("risk_debtors_ranked_total", "Debtors put in order by a plan")
SCORED = Counter("risk_debtors_scored_total", "Debtors scored again by a scoring job")
OUTAGES = Counter("risk_outages_total", "Times the database, the queues or the temporary folder were away", ["what"])

# Shown from the start, so that the first of each is seen as a change.
for stage in ("planned", "published", "completed", "failed", "cancelled", "withdrawn"):
    RUNS.labels(stage)
for lane in LANES:
    BATCHES.labels("sent", lane)
    BATCHES.labels("resent", lane)
for outcome in Outcome:
    BATCHES.labels(outcome, "")
for reason in ("unreadable", "unauthentic", "unknown_run", "unknown_batch", "batch_id", "digest", "counts"):
    REPORTS_REFUSED.labels(reason)
for what in ("database", "queues", "temporary_files"):
    OUTAGES.labels(what)
