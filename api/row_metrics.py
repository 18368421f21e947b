"""Metrics of the rows in requests."""

import threading
import time
from collections import Counter

import numpy as np

from sensorwatch.api.prediction import Prediction
from sensorwatch.common.runtime.metrics import HttpMetrics
from sensorwatch.common.scoring.detections import SEVERITIES


class RowMetrics:
    """Updates the metrics of scored and rejected rows. All methods are thread-safe."""

    def __init__(self, metrics: HttpMetrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()

    def count_rejected(self, prediction: Prediction) -> None:
        """Count the bad rows of a request, each under the reason of its first fault."""
        reasons = Counter(rejection.reason for rejection in prediction.rejections)
        for reason, rows in reasons.items():
            self._metrics.rows_rejected.labels(reason.value).inc(rows)

    def count_scored(self, prediction: Prediction) -> None:
        """Count the scored rows and the ignored items of a response."""
        for reason, items in Counter(reason for _, reason in prediction.ignored).items():
            self._metrics.items_ignored.labels(reason.value).inc(items)
        scores = self._metrics.scores
        rows = anomalies = 0
        for outcome in prediction.outcomes:
            detections = outcome.detections
            rows += len(detections)
            scores.anomaly_score.observe(detections.anomaly_score)
            severities = detections.severity[detections.is_anomaly]
            anomalies += len(severities)
            for severity_number, count in enumerate(np.bincount(severities).tolist()):
                if count:
                    scores.anomalies.labels(SEVERITIES[severity_number].value).inc(count)
        scores.rows_scored.inc(rows)
        with self._lock:
            scores.recent_anomalies.add(anomalies, rows, now=time.monotonic())

    def update_anomaly_ratio(self) -> None:
        """Set the metric `anomaly_ratio` to the share of anomalous rows in the last minutes.

        This method is called whenever Prometheus reads the metrics.
        """
        scores = self._metrics.scores
        with self._lock:
            scores.anomaly_ratio.set(scores.recent_anomalies.ratio(now=time.monotonic()))
