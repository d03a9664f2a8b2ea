"""What the risk service counts and times, in one place so that dashboards have one list to read."""

from service_kit.metrics import Counter, Gauge, Histogram

RUNS = Counter("risk_runs_total", "Runs that reached a stage", ["stage"])
BATCHES = Counter("risk_batches_total", "Batches by what became of them", ["outcome", "lane"])
OUTSTANDING = Gauge("risk_batches_outstanding", "Batches sent and not yet reported done")
PLAN_SECONDS = Histogram(
    "risk_plan_seconds", "Time to rank a portfolio and write its plan", buckets=(0.1, 0.5, 1, 2, 5, 10, 30, 60, 300)
)
