"""The aggregates of scored rows by sensor, and their merge."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class ScoreAggregates:
    """The aggregates of the rows of n sensors with s signals.

    The aggregates of two sets of rows can be merged without the rows; see `merge_aggregates`.
    """

    signal_names: tuple[str, ...]
    sensor_ids: tuple[str, ...]
    """The ids of the n sensors; each sensor occurs once."""
    rows: NDArray[np.int32]
    """Shape (n,). Number of scored rows, at least 1."""
    anomalous_rows: NDArray[np.int32]
    """Shape (n,). Number of rows in an alarm."""
    severity: NDArray[np.int32]
    """Shape (n,). Highest severity of the rows, as its position in SEVERITIES; 0 without alarm."""
    first_time: NDArray[np.int64]
    """Shape (n,). Lowest event time, microseconds UTC."""
    last_time: NDArray[np.int64]
    """Shape (n,). Highest event time, microseconds UTC."""
    first_offset: NDArray[np.int64]
    """Shape (n,). Offset of the first record with a row of the sensor."""
    last_offset: NDArray[np.int64]
    """Shape (n,). Offset of the last record with a row of the sensor."""
    worst_score: NDArray[np.float32]
    """Shape (n,). Highest score of a row. The score of a row in an alarm is the highest anomaly
    score of its episode so far. The score of any other row is its anomaly score."""
    worst_time: NDArray[np.int64]
    """Shape (n,). Event time of the first row with the highest score, microseconds UTC."""
    values: NDArray[np.int32]
    """Shape (n, s). Number of measured values. A missing value is not counted, and is not in the
    next three columns."""
    minimum: NDArray[np.float32]
    """Shape (n, s). Lowest value; the rate of a counter. NaN without a value."""
    maximum: NDArray[np.float32]
    """Shape (n, s). Highest value."""
    mean: NDArray[np.float32]
    """Shape (n, s). Mean of the values; NaN without a value, and for an angle."""
    expected: NDArray[np.float32]
    """Shape (n, s). Mean of the expected values of all rows; NaN for an angle."""
    expected_low: NDArray[np.float32]
    """Shape (n, s). Mean of the lower ends of the expected bands; NaN for an angle."""
    expected_high: NDArray[np.float32]
    """Shape (n, s). Mean of the upper ends of the expected bands; NaN for an angle."""

    def __len__(self) -> int:
        return len(self.sensor_ids)

    def take(self, rows: NDArray[np.int64]) -> "ScoreAggregates":
        """Return the aggregates of some sensors, selected by their positions."""
        ids = self.sensor_ids
        columns = {name: column[rows] for name, column in self.columns().items()}
        return ScoreAggregates(self.signal_names, tuple(ids[row] for row in rows), **columns)

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return all arrays by the name of their field."""
        return {name: getattr(self, name) for name in (*SENSOR_COLUMNS, *SIGNAL_COLUMNS)}


SENSOR_COLUMNS: Mapping[str, type[np.generic]] = {
    "first_time": np.int64,
    "last_time": np.int64,
    "worst_time": np.int64,
    "first_offset": np.int64,
    "last_offset": np.int64,
    "rows": np.int32,
    "anomalous_rows": np.int32,
    "severity": np.int32,
    "worst_score": np.float32,
}
"""Type of each column with one number per sensor."""
SIGNAL_COLUMNS: Mapping[str, type[np.generic]] = {
    "values": np.int32,
    "minimum": np.float32,
    "maximum": np.float32,
    "mean": np.float32,
    "expected": np.float32,
    "expected_low": np.float32,
    "expected_high": np.float32,
}
"""Type of each column with one number per sensor and signal."""


def merge_aggregates(parts: Sequence[ScoreAggregates]) -> ScoreAggregates:
    """Return the aggregates of all rows of several parts; each sensor occurs once.

    The sensors and the signals are in the order of their first appearance. The parts must be of
    different rows. The result does not depend on how the rows were divided into parts, except for
    the rounding of the means.
    """
    if len(parts) == 1 and len(set(parts[0].sensor_ids)) == len(parts[0]):
        return parts[0]
    signal_names = tuple(dict.fromkeys(name for part in parts for name in part.signal_names))
    ids = [sensor_id for part in parts for sensor_id in part.sensor_ids]
    number_by_id: dict[str, int] = {}
    sensor = np.asarray(
        [number_by_id.setdefault(sensor_id, len(number_by_id)) for sensor_id in ids], dtype=np.int64
    )
    columns = {
        name: np.concatenate(
            [np.zeros(0, dtype), *(getattr(part, name) for part in parts)], dtype=dtype
        )
        for name, dtype in SENSOR_COLUMNS.items()
    }
    for name in SIGNAL_COLUMNS:
        columns[name] = np.concatenate(
            [
                np.zeros((0, len(signal_names)), SIGNAL_COLUMNS[name]),
                *(_with_signals(part, name, signal_names) for part in parts),
            ]
        )
    if not ids:
        return ScoreAggregates(signal_names, (), **columns)
    return _merge_rows(signal_names, tuple(number_by_id), sensor, columns)


def merge_by_time(parts: Sequence[ScoreAggregates], step_us: int) -> dict[int, ScoreAggregates]:
    """Return merged aggregates for each time step, in the order of time.

    The keys are the begins of the time steps, in microseconds UTC; all are multiples of `step_us`.
    The aggregates of a sensor in a part belong to the time step of their `last_time`.
    """
    parts_by_step: dict[int, list[ScoreAggregates]] = {}
    for part in parts:
        steps = part.last_time // step_us
        for step in np.unique(steps).tolist():
            parts_by_step.setdefault(step, []).append(part.take(np.flatnonzero(steps == step)))
    return {step * step_us: merge_aggregates(parts_by_step[step]) for step in sorted(parts_by_step)}


def _with_signals(part: ScoreAggregates, name: str, signal_names: tuple[str, ...]) -> NDArray[Any]:
    """Return a column (n, signals) of a part with the columns of `signal_names`.

    A signal that the part does not have gets the count 0 and the value NaN.
    """
    column: NDArray[Any] = getattr(part, name)
    if part.signal_names == signal_names:
        return column
    fill = 0 if name == "values" else np.nan
    aligned = np.full((len(part), len(signal_names)), fill, dtype=column.dtype)
    positions = [signal_names.index(signal_name) for signal_name in part.signal_names]
    aligned[:, positions] = column
    return aligned


def _merge_rows(
    signal_names: tuple[str, ...],
    sensor_ids: tuple[str, ...],
    sensor: NDArray[np.int64],
    columns: dict[str, NDArray[Any]],
) -> ScoreAggregates:
    """Merge the rows of each sensor; `sensor`: position of each row's sensor in `sensor_ids`."""
    # The rows of each sensor are consecutive after this sort, from the highest score to the lowest;
    # the first of equal scores is the oldest.
    order = np.lexsort((columns["worst_time"], -columns["worst_score"], sensor))
    starts = np.flatnonzero(np.diff(sensor[order], prepend=-1))
    rows = {name: column[order] for name, column in columns.items()}

    def total(values: NDArray[Any]) -> NDArray[Any]:
        return np.add.reduceat(values, starts, axis=0, dtype=values.dtype)

    def mean(name: str, weights: NDArray[Any]) -> NDArray[np.float32]:
        is_known = ~np.isnan(rows[name])
        weights = np.where(is_known, weights, 0)
        sums = total(np.where(is_known, rows[name], 0.0) * weights.astype(np.float64))
        weight_sums = total(weights)
        known = weight_sums > 0
        means = np.divide(sums, weight_sums, out=np.full(sums.shape, np.nan), where=known)
        rounded: NDArray[np.float32] = means.astype(np.float32)
        return rounded

    row_counts = rows["rows"][:, np.newaxis]
    return ScoreAggregates(
        signal_names=signal_names,
        sensor_ids=sensor_ids,
        rows=total(rows["rows"]),
        anomalous_rows=total(rows["anomalous_rows"]),
        severity=np.maximum.reduceat(rows["severity"], starts),
        first_time=np.minimum.reduceat(rows["first_time"], starts),
        last_time=np.maximum.reduceat(rows["last_time"], starts),
        first_offset=np.minimum.reduceat(rows["first_offset"], starts),
        last_offset=np.maximum.reduceat(rows["last_offset"], starts),
        worst_score=rows["worst_score"][starts],
        worst_time=rows["worst_time"][starts],
        values=total(rows["values"]),
        minimum=np.fmin.reduceat(rows["minimum"], starts, axis=0),
        maximum=np.fmax.reduceat(rows["maximum"], starts, axis=0),
        mean=mean("mean", rows["values"]),
        expected=mean("expected", row_counts),
        expected_low=mean("expected_low", row_counts),
        expected_high=mean("expected_high", row_counts),
    )
