"""Scored rows as plain values, and their aggregates computed row by row, for comparison."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

import numpy as np

from sensorwatch.common.scoring.score_aggregates import (
    SENSOR_COLUMNS,
    SIGNAL_COLUMNS,
    ScoreAggregates,
)

Band = tuple[float, float, float]
"""The expected value, the lower and the upper end of the expected band."""
NO_BAND = (math.nan, math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """One scored row; a value of NaN is missing."""

    sensor_id: str = "s1"
    time: int = 0
    offset: int = 0
    score: float = 0.0
    severity: int = 0
    values: tuple[float, ...] = (1.0, 2.0)
    bands: tuple[Band, ...] = field(default=((1.0, 0.5, 1.5), NO_BAND))


def plain_aggregates(
    rows: Sequence[ScoredRow],
    signal_names: tuple[str, ...] = ("flow", "angle"),
    angles: AbstractSet[str] = frozenset({"angle"}),
) -> ScoreAggregates:
    """Return the aggregates of rows; the signals in `angles` have no mean."""
    by_sensor: dict[str, list[ScoredRow]] = {}
    for row in rows:
        by_sensor.setdefault(row.sensor_id, []).append(row)
    sensors = [_sensor_numbers(sensor_rows) for sensor_rows in by_sensor.values()]
    signals = [
        [
            _signal_numbers(sensor_rows, signal, is_angle=name in angles)
            for signal, name in enumerate(signal_names)
        ]
        for sensor_rows in by_sensor.values()
    ]
    shape = (len(by_sensor), len(signal_names))
    columns = {
        name: np.asarray([numbers[name] for numbers in sensors], dtype=dtype)
        for name, dtype in SENSOR_COLUMNS.items()
    } | {
        name: np.asarray(
            [[numbers[name] for numbers in sensor_signals] for sensor_signals in signals], dtype
        ).reshape(shape)
        for name, dtype in SIGNAL_COLUMNS.items()
    }
    return ScoreAggregates(signal_names, tuple(by_sensor), **columns)


def assert_same_aggregates(actual: ScoreAggregates, wanted: ScoreAggregates) -> None:
    """Check that two aggregates are equal, in any order of the sensors.

    Means may differ by rounding. Without a sensor, the names of the signals do not matter.
    """
    assert sorted(actual.sensor_ids) == sorted(wanted.sensor_ids)
    if not wanted.sensor_ids:
        return
    assert actual.signal_names == wanted.signal_names
    actual = actual.take(np.argsort(np.asarray(actual.sensor_ids, dtype=object)))
    wanted = wanted.take(np.argsort(np.asarray(wanted.sensor_ids, dtype=object)))
    for name, column in wanted.columns().items():
        tolerance = 1e-5 if "mean" in name or "expected" in name else 0.0
        np.testing.assert_allclose(
            actual.columns()[name], column, rtol=tolerance, atol=tolerance, err_msg=name
        )
        assert actual.columns()[name].dtype == column.dtype, name


def _sensor_numbers(rows: list[ScoredRow]) -> dict[str, float]:
    worst = max(rows, key=lambda row: np.float32(row.score))
    return {
        "rows": len(rows),
        "anomalous_rows": sum(row.severity > 0 for row in rows),
        "severity": max(row.severity for row in rows),
        "first_time": min(row.time for row in rows),
        "last_time": max(row.time for row in rows),
        "first_offset": min(row.offset for row in rows),
        "last_offset": max(row.offset for row in rows),
        "worst_score": worst.score,
        "worst_time": worst.time,
    }


def _signal_numbers(rows: list[ScoredRow], signal: int, *, is_angle: bool) -> dict[str, float]:
    values = [row.values[signal] for row in rows if not math.isnan(row.values[signal])]
    expected, low, high = np.mean([row.bands[signal] for row in rows], axis=0)
    has_mean = bool(values) and not is_angle
    return {
        "values": len(values),
        "minimum": min(values, default=math.nan),
        "maximum": max(values, default=math.nan),
        "mean": float(np.mean(values)) if has_mean else math.nan,
        "expected": expected,
        "expected_low": low,
        "expected_high": high,
    }
