"""A Prometheus histogram that observes a whole array at once."""

import math
import threading
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector


class RowHistogram(Collector):
    """A histogram of one value per row; calling `Histogram.observe` for each row is too slow."""

    def __init__(
        self, name: str, documentation: str, *, bounds: Sequence[float], registry: CollectorRegistry
    ) -> None:
        """Register the histogram; `bounds`: rising upper ends of the buckets, without +Inf."""
        assert all(low < high for low, high in pairwise(bounds)), "the bounds must rise"
        self._name, self._documentation = name, documentation
        self._bounds = np.asarray([*bounds, math.inf])
        self._counts = np.zeros(len(self._bounds), dtype=np.int64)
        self._sum = 0.0
        self._lock = threading.Lock()
        registry.register(self)

    def observe(self, values: NDArray[np.float64]) -> None:
        """Count every value of an array (n,).

        A value that equals a bound belongs to the bucket below the bound.
        """
        bucket = np.searchsorted(self._bounds, values, side="left")
        counts = np.bincount(bucket, minlength=len(self._bounds))
        with self._lock:
            self._counts += counts
            self._sum += float(values.sum())

    def collect(self) -> Iterator[Metric]:
        """Yield the cumulative counts of the buckets; the registry calls this method."""
        with self._lock:
            cumulative_counts, total = np.cumsum(self._counts), self._sum
        buckets = [
            (_bound_text(bound), float(count))
            for bound, count in zip(self._bounds, cumulative_counts, strict=True)
        ]
        yield HistogramMetricFamily(
            self._name, self._documentation, buckets=buckets, sum_value=total
        )


def _bound_text(bound: float) -> str:
    return "+Inf" if bound == math.inf else repr(float(bound))
