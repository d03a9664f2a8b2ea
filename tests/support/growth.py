"""What this process has counted since a moment, for tests of metrics."""

from prometheus_client import REGISTRY


class Growth:
    """How much metrics have grown since this was made."""

    def __init__(self) -> None:
        self._before = _everything()

    def of(self, name: str, **labels: str) -> float:
        """By how much this one has grown; a series that is not there is a mistake."""
        key = name, tuple(sorted(labels.items()))
        return _everything()[key] - self._before.get(key, 0.0)


def _everything() -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in REGISTRY.collect()
        for sample in family.samples
    }
