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
from sensorwatch.trainer.row_serialization import body_of, cells_of, payloads_of, write_csv

MAX_ROWS = 5_000
SKLEARN_TOLERANCE = 1e-12
_KAFKA_ROWS, _REST_ROWS, _CSV_ROWS = 1_000, 100, 777
"""Micro-batches of different sizes, because how rows are cut must not matter either."""


@dataclass(frozen=True, slots=True)
class Written:
    """The same rows in every form in which they can come."""

    cells: Sequence[Sequence[object]]
    payloads: Sequence[bytes]
    schema: Schema


Way = Callable[[Written, Detector], list[Outcome]]
"""A way from written rows to outcomes."""


def through_kafka(written: Written, detector: Detector) -> list[Outcome]:
    """Score rows as the consumer does: record values, a micro-batch at a time."""
    memory = detector.empty_memory()
    batches = _batches(written.payloads, _KAFKA_ROWS)
    return [process(batch, detector, memory) for batch in batches]


def through_rest(written: Written, detector: Detector) -> list[Outcome]:
    """Score rows as the API does: cut out of request bodies."""
    outcomes, memory = [], detector.empty_memory()
    for batch in _batches(written.payloads, _REST_ROWS):
        rows = split_request(body_of(batch), max_rows=_REST_ROWS).rows
        outcomes.append(process(rows, detector, memory))
    return outcomes


def through_csv(written: Written, detector: Detector) -> list[Outcome]:
    """Score rows as a backtest does: out of a CSV file."""
    outcomes, memory = [], detector.empty_memory()
    with tempfile.TemporaryDirectory(prefix="sensorwatch-") as folder:
        path = Path(folder) / "rows.csv"
        write_csv(path, written.cells, written.schema)
        for readings, rejections in cut_batches(read_batches(path, written.schema), _CSV_ROWS):
            outcomes.append(score_readings(readings, rejections, detector, memory))
    return outcomes


WAYS: Mapping[str, Way] = {"csv": through_csv, "rest": through_rest}
"""Each is compared with Kafka's."""


def correctness(
    readings: Readings,
    detector: Detector,
    reload: Callable[[], Detector],
    *,
    ways: Mapping[str, Way] = WAYS,
) -> Section:
    """Compare scores bit for bit over all ways, and over loading the model again, twice."""
    # One after the other: rows picked here and there would all lie beyond a gap.
    sample = readings.take(slice(max(len(readings) - MAX_ROWS, 0), None))
    cells = cells_of(sample, detector.schema)
    written = Written(cells, payloads_of(cells, detector.schema), detector.schema)
    wanted = _bits(through_kafka(written, detector))
    rows = len(sample)
    checks = [_accepted(wanted, rows)]
    for name, way in ways.items():
        differing = _differing(_bits(way(written, detector)), wanted)
        checks.append(_identical(f"correctness.kafka_and_{name}", differing, rows))
    for name in ("reloaded", "reloaded_again"):
        differing = _differing(_bits(through_kafka(written, reload())), wanted)
        checks.append(_identical(f"correctness.{name}", differing, rows))
    return Section(tuple(checks), {"rows": rows})


def agreement(detector: Detector, estimator: Any, readings: Readings) -> Check:
    """Compare the compiled forest with the scikit-learn estimator that it was taken from.

    A decision counts where the score is not on the threshold itself: with memory, on the score that
    only one clean row in a thousand exceeds here.
    """
    matrix = detector.matrix(readings)
    theirs = -estimator.score_samples(matrix.astype(np.float32))
    ours = score(detector.forest, matrix)
    threshold = (
        detector.calibration.threshold
        if detector.forecast is None
        else float(np.quantile(theirs, 0.999))
    )
    apart = float(np.abs(ours - theirs).max())
    decided = np.abs(theirs - threshold) > SKLEARN_TOLERANCE
    differing = int((decided & ((ours > threshold) != (theirs > threshold))).sum())
    return Check(
        "correctness.scikit_learn",
        apart <= SKLEARN_TOLERANCE and differing == 0,
        f"scores at most {apart:.2g} apart, {differing} of {len(matrix)} decisions differ",
        f"at most {SKLEARN_TOLERANCE:g} apart, no decision differs",
    )


@dataclass(frozen=True, slots=True)
class _Bits:
    """What must be the same: each row's key, values, scores and episode, as bits."""

    sensors: list[str]
    words: NDArray[np.uint64]
    """(n, columns)"""
    closed: dict[int, ClosedEpisode]
    """By the record with which it ended."""
    rejected: int


def _bits(outcomes: Sequence[Outcome]) -> _Bits:
    sensors: list[str] = []
    words = []
    for outcome in outcomes:
        readings, found = outcome.readings, outcome.detections
        sensors += [readings.sensor_ids[sensor] for sensor in readings.sensor.tolist()]
        columns = (
            readings.event_time.view(np.uint64),
            *np.ascontiguousarray(readings.values.T).view(np.uint64),
            *np.ascontiguousarray(readings.context.T).view(np.uint64),
            found.raw_score.view(np.uint64),
            found.anomaly_score.view(np.uint64),
            found.p_value.view(np.uint64),
            found.is_anomaly.astype(np.uint64),
            found.severity.astype(np.uint64),
            found.status.astype(np.uint64),
            found.episode.view(np.uint64),
            found.episode_rows.view(np.uint64),
            found.episode_time.view(np.uint64),
        )
        words.append(np.stack(columns, axis=1))
    # An episode's end is told by its record's number in the stream, not in its micro-batch.
    closed = {end.position: replace(end, index=0) for o in outcomes for end in o.closed}
    rejected = sum(len(o.rejections) for o in outcomes)
    return _Bits(sensors, np.concatenate(words), closed, rejected)


def _differing(found: _Bits, wanted: _Bits) -> int:
    """Count rows that are not the same; where rows are missing, all of them."""
    if found.words.shape != wanted.words.shape:
        return max(len(found.words), len(wanted.words))
    names = np.asarray(
        [one != other for one, other in zip(found.sensors, wanted.sensors, strict=True)]
    )
    differing = names | (found.words != wanted.words).any(axis=1)
    ends = found.closed.items() ^ wanted.closed.items()
    differing[[position for position, _ in ends]] = True
    return int(differing.sum())


def _accepted(found: _Bits, rows: int) -> Check:
    name, wanted = "correctness.accepted", "every row that was valid once is valid again"
    return Check(name, found.rejected == 0, f"{found.rejected} of {rows} rejected", wanted)


def _identical(name: str, differing: int, rows: int) -> Check:
    return Check(name, differing == 0, f"{differing} of {rows} rows differ", "0 rows, bit for bit")


def _batches(payloads: Sequence[bytes], rows: int) -> Iterator[Sequence[bytes]]:
    for first in range(0, len(payloads), rows):
        yield payloads[first : first + rows]
