"""What the debt service counts and times, in one place so that dashboards have one list to read."""

from service_kit.metrics import Counter, Gauge, Histogram

DECISIONS = Counter("debt_decisions_total", "Decisions recorded", ["action", "level"])
ERRORS = Counter("debt_errors_total", "Debtors that could not be worked", ["stage"])
BATCHES = Counter("debt_batches_total", "Batches by what became of them", ["outcome", "lane"])
BATCH_SECONDS = Histogram(
    "debt_batch_seconds",
    "Time to decide and record one batch",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60),
)
SCORE_MISMATCHES = Counter("debt_score_mismatches_total", "Debtors whose score in the message was not what we found")
REDELIVERIES = Counter("debt_redeliveries_total", "Messages received that had been received before", ["lane"])
LEASE_EXTENSIONS = Counter("debt_lease_extensions_total", "Times a held message was kept hidden for longer")
LEASES_LOST = Counter("debt_leases_lost_total", "Held messages that came free for other consumers")
HELD = Gauge("debt_held_batches", "Batches held: waiting in memory, being worked, or not yet reported")
OUTAGES = Counter("debt_outages_total", "Times a neighbour was away", ["what"])
