"""The job of every other framework on a batch of rows, without any code of sensorwatch.

The job validates rows strictly and scores x1, x2, x3, hour and day of week with an isolation
forest of 100 trees. It returns an event for each anomalous row and a dead letter for each invalid
row.
"""

import os
from datetime import UTC
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from row_validation import row_decoder
from sklearn.ensemble import IsolationForest

ALERT_RATE = 0.005
decode = row_decoder()
encode = msgspec.json.Encoder().encode


class Forest:
    """An isolation forest of scikit-learn, and its threshold."""

    def __init__(self, path: str) -> None:
        """`path`: a .npy file of training rows (n, 5)."""
        matrix = np.load(Path(path))
        self.model = IsolationForest(n_estimators=100, max_samples=256, random_state=0, n_jobs=1)
        self.model.fit(matrix)
        self.threshold = float(np.quantile(-self.model.score_samples(matrix), 1 - ALERT_RATE))

    def score(self, features: list[list[float]]) -> list[float]:
        """Return a score for each row; a higher score is more anomalous."""
        scores: list[float] = (-self.model.score_samples(np.asarray(features))).tolist()
        return scores


@cache
def cached_forest() -> Forest:
    """Return the forest, which is fitted at the first call in a process."""
    return Forest(required_setting("TRAINING"))


def row_features(row: Any) -> list[float]:
    """Return the features of a row: x1, x2, x3, hour, day of week."""
    time = row.timestamp
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return [row.x1, row.x2, row.x3, float(time.hour), float(time.weekday())]


def event_value(row: Any, score: float, threshold: float, source: str) -> bytes:
    """Return the value of an event as JSON."""
    signals = [{"name": name, "actual": getattr(row, name)} for name in ("x1", "x2", "x3")]
    return encode(
        {
            "event_id": source,
            "sensor_id": row.sensor_id,
            "event_time": row.timestamp,
            "raw_score": score,
            "threshold": threshold,
            "signals": signals,
        }
    )


def dead_letter(payload: bytes, reason: str, source: str) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return the value and the headers of a dead letter."""
    return payload, [("reason", reason.encode()[:500]), ("source", source.encode())]


KeyAndValue = tuple[bytes, bytes]
"""Key and value of an event."""


def decide(
    forest: Forest, payloads: list[bytes], sources: list[str]
) -> tuple[list[KeyAndValue], list[tuple[bytes, list[tuple[str, bytes]]]]]:
    """Return the events and the dead letters of a batch of payloads."""
    rows, row_sources, letters = [], [], []
    for payload, source in zip(payloads, sources, strict=True):
        try:
            rows.append(decode(payload))
        except (msgspec.MsgspecError, ValueError) as error:
            letters.append(dead_letter(payload, str(error), source))
        else:
            row_sources.append(source)
    if not rows:
        return [], letters
    scores = forest.score([row_features(row) for row in rows])
    events = [
        (row.sensor_id.encode(), event_value(row, score, forest.threshold, source))
        for row, score, source in zip(rows, scores, row_sources, strict=True)
        if score > forest.threshold
    ]
    return events, letters


def required_setting(name: str) -> str:
    """Return the value of the environment variable BENCH_<NAME>; it must be set."""
    return os.environ[f"BENCH_{name}"]


def optional_setting(name: str, default: str) -> str:
    """Return the value of the environment variable BENCH_<NAME>; `default` if it is not set."""
    return os.environ.get(f"BENCH_{name}", default)
