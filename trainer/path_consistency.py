"""Check that scores are equal, bit for bit, through Kafka, REST, CSV and a reloaded model."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.model.forest import score
from sensorwatch.common.rows.batches import cut_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.request import split_request
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detections import ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process, score_readings
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.row_serialization import (
    cells_of,
    payloads_of,
    request_body_of,
    write_readings_csv,
)

MAX_ROWS = 5_000
"""The scores of the newest rows are compared, at most of this number of rows."""
SKLEARN_TOLERANCE = 1e-12
"""Maximum allowed difference between a forest score and the score of scikit-learn."""
_KAFKA_BATCH_ROWS, _REST_BATCH_ROWS, _CSV_BATCH_ROWS = 1_000, 100, 777
"""Batch sizes of the paths.

The sizes differ, because scores must not depend on batch boundaries."""


@dataclass(frozen=True, slots=True)
class SerializedRows:
    """The same rows in the forms that the scoring paths read."""

    cells: Sequence[Sequence[object]]
    """The cells of each row, in the order of `schema.paths`."""
    payloads: Sequence[bytes]
    """The JSON of each row."""
    schema: Schema


ScoringPath = Callable[[SerializedRows, Detector], list[Outcome]]
"""A function that scores serialized rows as one of the services does."""


def score_through_kafka(serialized_rows: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as the consumer does: as values of records, in micro-batches."""
    memory = detector.empty_memory()
    batches = _batches(serialized_rows.payloads, _KAFKA_BATCH_ROWS)
    return [process(batch, detector, memory) for batch in batches]


def score_through_rest(serialized_rows: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as the API does: from request bodies."""
    outcomes, memory = [], detector.empty_memory()
    for batch in _batches(serialized_rows.payloads, _REST_BATCH_ROWS):
        rows = split_request(request_body_of(batch), max_rows=_REST_BATCH_ROWS).rows
        outcomes.append(process(rows, detector, memory))
    return outcomes


def score_through_csv(serialized_rows: SerializedRows, detector: Detector) -> list[Outcome]:
    """Score rows as a backtest does: from a CSV file."""
    outcomes, memory = [], detector.empty_memory()
    with tempfile.TemporaryDirectory(prefix="sensorwatch-") as folder:
        path = Path(folder) / "rows.csv"
        write_readings_csv(path, serialized_rows.cells, serialized_rows.schema)
        for readings, rejections in cut_batches(
            read_batches(path, serialized_rows.schema), _CSV_BATCH_ROWS
        ):
            outcomes.append(score_readings(readings, rejections, detector, memory))
    return outcomes


SCORING_PATHS: Mapping[str, ScoringPath] = {"csv": score_through_csv, "rest": score_through_rest}
"""The paths that are compared with the Kafka path."""


def path_consistency_section(
    readings: Readings,
    detector: Detector,
    reload: Callable[[], Detector],
    *,
    scoring_paths: Mapping[str, ScoringPath] = SCORING_PATHS,
) -> Section:
    """Compare the scores of all paths and of the reloaded model bit by bit.

    `reload`: loads the model from its files again.
    """
    # The rows are consecutive. In a random sample, every row would follow a gap.
    newest_rows = readings.take(slice(max(len(readings) - MAX_ROWS, 0), None))
    cells = cells_of(newest_rows, detector.schema)
    serialized_rows = SerializedRows(cells, payloads_of(cells, detector.schema), detector.schema)
    expected_outcomes = _exact_outcomes(score_through_kafka(serialized_rows, detector))
    rows = len(newest_rows)
    checks = [_acceptance_check(expected_outcomes, rows)]
    for name, scoring_path in scoring_paths.items():
        differing_rows = _count_differing(
            _exact_outcomes(scoring_path(serialized_rows, detector)), expected_outcomes
        )
        checks.append(_identity_check(f"correctness.kafka_and_{name}", differing_rows, rows))
    for name in ("reloaded", "reloaded_again"):
        differing_rows = _count_differing(
            _exact_outcomes(score_through_kafka(serialized_rows, reload())), expected_outcomes
        )
        checks.append(_identity_check(f"correctness.{name}", differing_rows, rows))
    return Section(tuple(checks), {"rows": rows})


def sklearn_agreement(detector: Detector, estimator: Any, readings: Readings) -> Check:
    """Compare the compiled forest with the scikit-learn estimator that it was built from.

    Scores and decisions must agree. If a score is at the threshold, its decision is not compared. A
    detector with memory has no threshold for the forest score, so the 99.9 % quantile of the forest
    scores is used as threshold.
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
    differing_decisions = int(
        (clear_of_threshold & ((forest_scores > threshold) != (sklearn_scores > threshold))).sum()
    )
    return Check(
        "correctness.scikit_learn",
        max_difference <= SKLEARN_TOLERANCE and differing_decisions == 0,
        f"scores differ by {max_difference:.2g}, "
        f"{differing_decisions} of {len(matrix)} decisions differ",
        f"a difference of at most {SKLEARN_TOLERANCE:g}, no decision differs",
    )


@dataclass(frozen=True, slots=True)
class _ExactOutcomes:
    """The results that every path must produce equally: sensors, values, scores and episodes."""

    sensors: list[str]
    bit_columns: NDArray[np.uint64]
    """Shape (n, columns). The numbers of each row as 64-bit patterns."""
    closed: dict[int, ClosedEpisode]
    """Each closed episode, by the position of the record that closed the episode."""
    rejected: int


def _exact_outcomes(outcomes: Sequence[Outcome]) -> _ExactOutcomes:
    sensors: list[str] = []
    bit_columns = []
    for outcome in outcomes:
        readings, detections = outcome.readings, outcome.detections
        sensors += [readings.sensor_ids[sensor] for sensor in readings.sensor.tolist()]
        columns = (
            readings.event_time.view(np.uint64),
            *np.ascontiguousarray(readings.values.T).view(np.uint64),
            *np.ascontiguousarray(readings.context.T).view(np.uint64),
            detections.raw_score.view(np.uint64),
            detections.anomaly_score.view(np.uint64),
            detections.p_value.view(np.uint64),
            detections.is_anomaly.astype(np.uint64),
            detections.severity.astype(np.uint64),
            detections.stale_episodes.view(np.uint64),
            detections.status.astype(np.uint64),
            detections.episode.view(np.uint64),
            detections.episode_rows.view(np.uint64),
            detections.episode_time.view(np.uint64),
        )
        bit_columns.append(np.stack(columns, axis=1))
    # The index in the micro-batch depends on batch boundaries, so only the position is compared.
    closed = {
        episode.position: replace(episode, index=0)
        for outcome in outcomes
        for episode in outcome.closed
    }
    rejected = sum(len(outcome.rejections) for outcome in outcomes)
    return _ExactOutcomes(sensors, np.concatenate(bit_columns), closed, rejected)


def _count_differing(actual_outcomes: _ExactOutcomes, expected_outcomes: _ExactOutcomes) -> int:
    """Return the number of different rows: all rows if the row counts differ."""
    if actual_outcomes.bit_columns.shape != expected_outcomes.bit_columns.shape:
        return max(len(actual_outcomes.bit_columns), len(expected_outcomes.bit_columns))
    sensor_differs = np.asarray(
        [
            actual_id != expected_id
            for actual_id, expected_id in zip(
                actual_outcomes.sensors, expected_outcomes.sensors, strict=True
            )
        ]
    )
    row_differs = sensor_differs | (
        actual_outcomes.bit_columns != expected_outcomes.bit_columns
    ).any(axis=1)
    differing_episodes = actual_outcomes.closed.items() ^ expected_outcomes.closed.items()
    row_differs[[position for position, _ in differing_episodes]] = True
    return int(row_differs.sum())


def _acceptance_check(actual_outcomes: _ExactOutcomes, rows: int) -> Check:
    name, wanted_text = "correctness.accepted", "0 rejected: every row was valid before"
    return Check(
        name,
        actual_outcomes.rejected == 0,
        f"{actual_outcomes.rejected} of {rows} rejected",
        wanted_text,
    )


def _identity_check(name: str, differing_rows: int, rows: int) -> Check:
    return Check(
        name, differing_rows == 0, f"{differing_rows} of {rows} rows differ", "0 rows, bit for bit"
    )


def _batches(payloads: Sequence[bytes], rows: int) -> Iterator[Sequence[bytes]]:
    for first_row in range(0, len(payloads), rows):
        yield payloads[first_row : first_row + rows]
