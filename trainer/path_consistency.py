"""Whether the same rows get the same bits, whichever way they come."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forest import score
from sensorwatch.common.rows.batches import cut_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.request import split_request
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detections import ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process, score_readings
from sensorwatch.common.tables import read_batches
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.row_serialization import cells_of, payloads_of, request_body_of, write_csv

MAX_ROWS = 5_000
SKLEARN_TOLERANCE = 1e-12
_KAFKA_ROWS, _REST_ROWS, _CSV_ROWS = 1_000, 100, 777
"""Micro-batches of different sizes, because how rows are cut must not matter either."""


@dataclass(frozen=True, slots=True)
class SerializedRows:
    """The same rows in every form in which they can come."""

    cells: Sequence[Sequence[object]]
    payloads: Sequence[bytes]
    schema: Schema


ScoringPath = Callable[[SerializedRows, Detector], list[Outcome]]
"""A way from written rows to outcomes."""


def through_kafka(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as the consumer does: record values, a micro-batch at a time."""
    memory = detector.empty_memory()
    batches = _batches(serialized.payloads, _KAFKA_ROWS)
    return [process(batch, detector, memory) for batch in batches]


def through_rest(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as the API does: cut out of request bodies."""
    outcomes, memory = [], detector.empty_memory()
    for batch in _batches(serialized.payloads, _REST_ROWS):
        rows = split_request(request_body_of(batch), max_rows=_REST_ROWS).rows
        outcomes.append(process(rows, detector, memory))
    return outcomes


def through_csv(serialized: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as a backtest does: out of a CSV file."""
    outcomes, memory = [], detector.empty_memory()
    with tempfile.TemporaryDirectory(prefix="sensorwatch-") as folder:
        path = Path(folder) / "rows.csv"
        write_csv(path, serialized.cells, serialized.schema)
        for readings, rejections in cut_batches(read_batches(path, serialized.schema), _CSV_ROWS):
            outcomes.append(score_readings(readings, rejections, detector, memory))
    return outcomes


SCORING_PATHS: Mapping[str, ScoringPath] = {"csv": through_csv, "rest": through_rest}
"""Each is compared with Kafka's."""


def correctness(
    readings: Readings,
    detector: Detector,
    reload: Callable[[], Detector],
    *,
    scoring_paths: Mapping[str, ScoringPath] = SCORING_PATHS,
) -> Section:
    """Compare scores bit for bit over all ways, and over loading the model again, twice."""
    # One after the other: rows picked here and there would all lie beyond a gap.
    sample = readings.take(slice(max(len(readings) - MAX_ROWS, 0), None))
    cells = cells_of(sample, detector.schema)
    serialized = SerializedRows(cells, payloads_of(cells, detector.schema), detector.schema)
    expected = _exact_outcomes(through_kafka(serialized, detector))
    rows = len(sample)
    checks = [_acceptance_check(expected, rows)]
    for name, scoring_path in scoring_paths.items():
        differing = _count_differing(_exact_outcomes(scoring_path(serialized, detector)), expected)
        checks.append(_identity_check(f"correctness.kafka_and_{name}", differing, rows))
    for name in ("reloaded", "reloaded_again"):
        differing = _count_differing(_exact_outcomes(through_kafka(serialized, reload())), expected)
        checks.append(_identity_check(f"correctness.{name}", differing, rows))
    return Section(tuple(checks), {"rows": rows})


def sklearn_agreement(detector: Detector, estimator: Any, readings: Readings) -> Check:
    """Compare the compiled forest with the scikit-learn estimator that it was taken from.

    A decision counts where the score is not on the threshold itself: with memory, on the score that
    only one clean row in a thousand exceeds here.
    """
    matrix = detector.matrix(readings)
    sklearn_scores = -estimator.score_samples(matrix.astype(np.float32))
    forest_scores = score(detector.forest, matrix)
    threshold = (
        detector.calibration.threshold
        if detector.forecast is None
        else float(np.quantile(sklearn_scores, 0.999))
    )
    max_difference = float(np.abs(forest_scores - sklearn_scores).max())
    clear_of_threshold = np.abs(sklearn_scores - threshold) > SKLEARN_TOLERANCE
    differing = int(
        (clear_of_threshold & ((forest_scores > threshold) != (sklearn_scores > threshold))).sum()
    )
    return Check(
        "correctness.scikit_learn",
        max_difference <= SKLEARN_TOLERANCE and differing == 0,
        f"scores at most {max_difference:.2g} apart, {differing} of {len(matrix)} decisions differ",
        f"at most {SKLEARN_TOLERANCE:g} apart, no decision differs",
    )


@dataclass(frozen=True, slots=True)
class _ExactOutcomes:
    """What must be the same: each row's key, values, scores and episode, as bits."""

    sensors: list[str]
    bit_columns: NDArray[np.uint64]
    """(n, columns)"""
    closed: dict[int, ClosedEpisode]
    """By the record with which it ended."""
    rejected: int


def _exact_outcomes(outcomes: Sequence[Outcome]) -> _ExactOutcomes:
    sensors: list[str] = []
    bit_columns = []
    for outcome in outcomes:
        readings, actual = outcome.readings, outcome.detections
        sensors += [readings.sensor_ids[sensor] for sensor in readings.sensor.tolist()]
        columns = (
            readings.event_time.view(np.uint64),
            *np.ascontiguousarray(readings.values.T).view(np.uint64),
            *np.ascontiguousarray(readings.context.T).view(np.uint64),
            actual.raw_score.view(np.uint64),
            actual.anomaly_score.view(np.uint64),
            actual.p_value.view(np.uint64),
            actual.is_anomaly.astype(np.uint64),
            actual.severity.astype(np.uint64),
            actual.status.astype(np.uint64),
            actual.episode.view(np.uint64),
            actual.episode_rows.view(np.uint64),
            actual.episode_time.view(np.uint64),
        )
        bit_columns.append(np.stack(columns, axis=1))
    # An episode's end is told by its record's number in the stream, not in its micro-batch.
    closed = {end.position: replace(end, index=0) for o in outcomes for end in o.closed}
    rejected = sum(len(o.rejections) for o in outcomes)
    return _ExactOutcomes(sensors, np.concatenate(bit_columns), closed, rejected)


def _count_differing(actual: _ExactOutcomes, expected: _ExactOutcomes) -> int:
    """Count rows that are not the same; where rows are missing, all of them."""
    if actual.bit_columns.shape != expected.bit_columns.shape:
        return max(len(actual.bit_columns), len(expected.bit_columns))
    names = np.asarray(
        [
            actual_id != expected_id
            for actual_id, expected_id in zip(actual.sensors, expected.sensors, strict=True)
        ]
    )
    differing = names | (actual.bit_columns != expected.bit_columns).any(axis=1)
    differing_episodes = actual.closed.items() ^ expected.closed.items()
    differing[[position for position, _ in differing_episodes]] = True
    return int(differing.sum())


def _acceptance_check(actual: _ExactOutcomes, rows: int) -> Check:
    name, expected = "correctness.accepted", "every row that was valid once is valid again"
    return Check(name, actual.rejected == 0, f"{actual.rejected} of {rows} rejected", expected)


def _identity_check(name: str, differing: int, rows: int) -> Check:
    return Check(name, differing == 0, f"{differing} of {rows} rows differ", "0 rows, bit for bit")


def _batches(payloads: Sequence[bytes], rows: int) -> Iterator[Sequence[bytes]]:
    for first in range(0, len(payloads), rows):
        yield payloads[first : first + rows]
