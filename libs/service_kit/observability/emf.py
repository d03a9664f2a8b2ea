"""Writes this process's metrics for CloudWatch, as lines of embedded metric format on standard output.

CloudWatch turns them into metrics when it ingests the log: nothing has to scrape and no API is called. Counters report
their growth since the line before. Left out are metrics that cost money and add nothing: HTTP requests, a metric for
each route, which the load balancer counts; and in an API the counters that only a loop moves. Specification:
"CloudWatch Embedded Metric Format" in AWS's documentation.
"""

import math
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import orjson
import structlog
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.samples import Sample

from service_kit.observability.metrics import REGISTRY

log = structlog.get_logger(__name__)

NAMESPACE = "SmartRecover"
MAX_METRICS_A_LINE = 100
LEFT_OUT = ("http_", "python_", "process_")

Labels = tuple[tuple[str, str], ...]
Value = float | dict[str, object]


@contextmanager
def emitting(seconds: float, service: str, process: str) -> Iterator[None]:
    """Write changes every so many seconds, from a thread, and once more at the end; 0 = never."""
    if not seconds:
        yield
        return
    lines = Lines(REGISTRY, {"Service": service, "Process": process}, zeros=process != "serve")
    stop = threading.Event()

    def emit() -> None:
        while not stop.wait(seconds):
            _write(lines)

    thread = threading.Thread(target=emit, name="emf", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        _write(lines)


def _write(lines: "Lines") -> None:
    """Write what there is. A process whose output is not read keeps working, and retries next time."""
    try:
        for line in lines.since_last(int(time.time() * 1_000)):
            sys.stdout.write(line.decode() + "\n")
        sys.stdout.flush()
    except OSError as error:
        log.warning("metrics.not_written", error=type(error).__name__)


class Lines:
    """What has become of the registry's metrics since the last time."""

    def __init__(self, registry: CollectorRegistry, dimensions: Mapping[str, str], *, zeros: bool = True) -> None:
        """Without `zeros`, a counter is reported from its first count on."""
        self._registry, self._dimensions, self._zeros = registry, dict(dimensions), zeros
        self._last: dict[tuple[str, Labels], float] = {}

    def since_last(self, timestamp: int) -> list[bytes]:
        """Return one line for each set of labels that has values; `timestamp` in milliseconds."""
        by_labels: dict[Labels, dict[str, tuple[str, Value]]] = {}
        for family in self._registry.collect():
            if not family.name.startswith(LEFT_OUT):
                for labels, name, value in self._values(family):
                    by_labels.setdefault(labels, {})[name] = (_unit(family), value)
        return [
            self._line(timestamp, labels, part)
            for labels, metrics in by_labels.items()
            for part in _parts(metrics, MAX_METRICS_A_LINE)
        ]

    def _values(self, family: Metric) -> Iterator[tuple[Labels, str, Value]]:
        if family.type == "histogram":
            yield from self._distributions(family)
            return
        for sample in family.samples:
            if family.type == "gauge":
                yield _labels(sample), sample.name, sample.value
            elif family.type == "counter" and sample.name.endswith("_total") and (sample.value or self._zeros):
                yield _labels(sample), sample.name, self._growth(sample, _labels(sample))

    def _distributions(self, family: Metric) -> Iterator[tuple[Labels, str, Value]]:
        """Yield each histogram that has grown: the upper bound of each bucket, and how many more are in it."""
        buckets: dict[Labels, list[tuple[float, float]]] = {}
        sums: dict[Labels, float] = {}
        for sample in family.samples:
            labels = _labels(sample)
            if sample.name.endswith("_bucket"):
                bound = float(sample.labels["le"])
                buckets.setdefault(labels, []).append((bound, self._growth(sample, (*labels, ("le", str(bound))))))
            elif sample.name.endswith("_sum"):
                sums[labels] = self._growth(sample, labels)
        for labels, cumulated in buckets.items():
            if found := _distribution(cumulated, sums[labels]):
                yield labels, family.name, found

    def _growth(self, sample: Sample, labels: Labels) -> float:
        key = sample.name, labels
        before, self._last[key] = self._last.get(key, 0.0), sample.value
        return sample.value - before

    def _line(self, timestamp: int, labels: Labels, metrics: Mapping[str, tuple[str, Value]]) -> bytes:
        dimensions = self._dimensions | dict(labels)
        directive = {
            "Namespace": NAMESPACE,
            "Dimensions": [list(dimensions)],
            "Metrics": [{"Name": name, "Unit": unit} for name, (unit, _) in metrics.items()],
        }
        about = {"Timestamp": timestamp, "CloudWatchMetrics": [directive]}
        return orjson.dumps({"_aws": about, **dimensions, **{name: value for name, (_, value) in metrics.items()}})


def _distribution(cumulated: Sequence[tuple[float, float]], total: float) -> dict[str, object] | None:
    values, counts, below = [], [], 0.0
    for bound, count in cumulated:
        if count > below:
            # A value above the last bound is reported as equal to it: CloudWatch knows no infinity.
            values.append(bound if math.isfinite(bound) else _last_bound(cumulated))
            counts.append(count - below)
            below = count
    if not values:
        return None
    return {
        "Values": values,
        "Counts": counts,
        "Max": max(values),
        "Min": min(values),
        "Count": below,
        "Sum": total,
    }


def _last_bound(cumulated: Sequence[tuple[float, float]]) -> float:
    return max(bound for bound, _ in cumulated if math.isfinite(bound))


def _labels(sample: Sample) -> Labels:
    """Return the labels without the bucket's bound, and without empty values, which CloudWatch rejects."""
    return tuple((name, value) for name, value in sample.labels.items() if name != "le" and value)


def _unit(family: Metric) -> str:
    if family.name.endswith("_seconds"):
        return "Seconds"
    if family.name.endswith("_bytes"):
        return "Bytes"
    return "Count"


def _parts(metrics: Mapping[str, tuple[str, Value]], size: int) -> Iterator[dict[str, tuple[str, Value]]]:
    items = list(metrics.items())
    for start in range(0, len(items), size):
        yield dict(items[start : start + size])
