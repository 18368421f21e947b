"""The response of `/predict`, with the score or the errors of each row."""

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from itertools import repeat
from operator import itemgetter
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from sensorwatch.api.prediction import Prediction
from sensorwatch.api.row_errors import bad_rows_problem, errors_of_rows
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, rank_signals, signal_readings
from sensorwatch.common.scoring.pattern_sentences import sentences
from sensorwatch.common.scoring.patterns import PATTERN_TEXTS
from sensorwatch.common.scoring.policy_texts import limit_sentences, row_choices
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUS_TEXTS
from sensorwatch.common.scoring.suppression import SUPPRESSION_TEXTS

ROWS_PER_ENCODING_STEP = 2_000
"""Number of rows that are encoded in one step of about 1 ms."""
POLICY_FIELDS = 4
"""Number of fields of `_ScoredRow` that only a policy sets."""


class OnError(StrEnum):
    """The effect of a bad row: the request is rejected, or the row is skipped."""

    REJECT = "reject"
    SKIP = "skip"


class Signals(StrEnum):
    """The rows for which the response lists the signals."""

    ANOMALOUS = "anomalous"
    ALL = "all"


class _ScoredRow(msgspec.Struct, frozen=True, gc=False):
    """A scored row; `api/response_models.py` describes the fields."""

    index: int
    row: int | UnsetType
    items: list[int] | UnsetType
    sensor_id: str
    event_time: str
    status: str
    anomaly_score: float
    raw_score: float
    is_anomaly: bool
    p_value: float
    severity: str
    suppressed: str
    pattern: str
    message: str | UnsetType
    cause: str | UnsetType
    limit_rule: str | UnsetType
    suppressed_by: str | UnsetType
    window: str | UnsetType
    episode_start: int | None
    episode_start_row: int | UnsetType
    signals: list[SignalReading] | UnsetType


class _SkippedRow(msgspec.Struct, frozen=True):
    """A bad row; `api/response_models.py` describes the fields."""

    index: int
    row: int | UnsetType
    errors: list[dict[str, object]]


class _IgnoredItem(msgspec.Struct, frozen=True):
    """An item without a row; `api/response_models.py` describes the fields."""

    index: int
    ignored: str


_Entry = _ScoredRow | _SkippedRow | _IgnoredItem


def encode_response(
    prediction: Prediction, detector: Detector, *, on_error: OnError, signals: Signals
) -> bytes:
    """Return the JSON response to a request.

    If a row is bad and `on_error` is reject, raises Problem (422), which lists every fault.
    """
    bad_rows = prediction.rejections
    if (
        prediction.unread_items
        or prediction.has_bad_history
        or (bad_rows and on_error is OnError.REJECT)
    ):
        raise bad_rows_problem(prediction)
    scored_count = sum(len(outcome.readings) for outcome in prediction.outcomes)
    anomaly_count = sum(int(outcome.detections.is_anomaly.sum()) for outcome in prediction.outcomes)
    policy = {"policy": detector.policy_id} if detector.policy_id else {}
    ignored_count = {"ignored": len(prediction.ignored)} if prediction.ignored else {}
    response_head = msgspec.json.encode(
        {
            "model_version": prediction.version,
            **policy,
            "threshold": detector.calibration.threshold,
            "scored": scored_count,
            "anomalies": anomaly_count,
            "rejected": len(bad_rows),
            **ignored_count,
        }
    )
    # Encode in parts, because other threads cannot run while a part is encoded.
    entries = _entries(prediction, detector, signals)
    rows = b",".join(
        msgspec.json.encode(entries[start : start + ROWS_PER_ENCODING_STEP])[1:-1]
        for start in range(0, len(entries), ROWS_PER_ENCODING_STEP)
    )
    return response_head[:-1] + b',"rows":[' + rows + b"]}"


def _entries(prediction: Prediction, detector: Detector, signals: Signals) -> Sequence[_Entry]:
    """Return the scored rows, the bad rows and the ignored items, in the order of the request."""
    rows_of_outcomes = (
        (outcome, _scored_rows(outcome, detector, signals, prediction))
        for outcome in prediction.outcomes
    )
    if not (prediction.rejections or prediction.ignored):
        return [row for _, rows in rows_of_outcomes for row in rows]
    entries: list[tuple[tuple[int, int], _Entry]] = []
    for outcome, rows in rows_of_outcomes:
        entries += zip(prediction.places.sort_keys(_row_numbers(outcome)), rows, strict=True)
    history_items = prediction.history_items
    for rejection, errors in errors_of_rows(prediction):
        item, row = rejection.index, rejection.rows[0] if rejection.rows else UNSET
        skipped_row = _SkippedRow(item - history_items, row, errors)
        entries.append(((item, 0 if row is UNSET else row), skipped_row))
    entries += (
        ((item, 0), _IgnoredItem(item - history_items, reason.value))
        for item, reason in prediction.ignored
    )
    entries.sort(key=itemgetter(0))
    return [entry for _, entry in entries]


def _row_numbers(outcome: Outcome) -> NDArray[np.int64]:
    """Return the numbers (n,) of an outcome's rows in `Prediction.places`."""
    return outcome.positions[outcome.readings.index]


def _scored_rows(
    outcome: Outcome, detector: Detector, signals: Signals, prediction: Prediction
) -> Iterator[_ScoredRow]:
    """Return the scored rows. Each column is converted as a whole, which is fast."""
    readings, detections = outcome.readings, outcome.detections
    anomalous_rows = np.flatnonzero(detections.is_anomaly)
    explained_rows = np.arange(len(readings)) if signals is Signals.ALL else anomalous_rows
    numbers, episode_starts = _row_numbers(outcome), detections.episode[anomalous_rows]
    places, history_items = prediction.places, prediction.history_items
    ranked_signals = (
        rank_signals(detector, outcome, explained_rows) if len(explained_rows) else None
    )
    messages = (
        []
        if ranked_signals is None
        else limit_sentences(
            sentences(detector, outcome, explained_rows, ranked_signals),
            detector,
            outcome,
            explained_rows,
        )
    )
    return map(
        _ScoredRow,
        (places.item[numbers] - history_items).tolist(),
        _rows_in_items(prediction, numbers),
        _joined_items(prediction, numbers),
        np.asarray(readings.sensor_ids, dtype=object)[readings.sensor].tolist(),
        format_instants(readings.event_time),
        STATUS_TEXTS[detections.status].tolist(),
        detections.anomaly_score.tolist(),
        detections.raw_score.tolist(),
        detections.is_anomaly.tolist(),
        detections.p_value.tolist(),
        SEVERITY_TEXTS[detections.severity].tolist(),
        SUPPRESSION_TEXTS[detections.suppression].tolist(),
        PATTERN_TEXTS[detections.pattern].tolist(),
        _sparse_column(
            len(readings), UNSET, explained_rows, [message or UNSET for message in messages]
        ),
        *_policy_columns(detector, outcome, anomalous_rows),
        _sparse_column(
            len(readings),
            None,
            anomalous_rows,
            (places.item[episode_starts] - history_items).tolist(),
        ),
        _sparse_column(
            len(readings), UNSET, anomalous_rows, [*_rows_in_items(prediction, episode_starts)]
        ),
        _sparse_column(
            len(readings),
            UNSET,
            explained_rows,
            [] if ranked_signals is None else signal_readings(detector, ranked_signals),
        ),
    )


def _policy_columns(
    detector: Detector, outcome: Outcome, anomalous_rows: NDArray[np.int64]
) -> Iterator[Iterable[str | UnsetType]]:
    """Yield a column for each field of `row_choices`; UNSET without a policy."""
    rows = len(outcome.readings)
    if detector.policy is None:
        yield from (repeat(UNSET, rows) for _ in range(POLICY_FIELDS))
        return
    choices = row_choices(detector.policy, outcome.detections, anomalous_rows)
    for texts, positions in choices.values():
        values = [texts[position] for position in positions.tolist()]
        yield _sparse_column(rows, UNSET, anomalous_rows, values)


def _rows_in_items(prediction: Prediction, numbers: NDArray[np.int64]) -> Iterable[int | UnsetType]:
    """Return the places of rows in their items; UNSET for an item that is one row."""
    rows = prediction.places.row
    if rows is None:
        return repeat(UNSET, len(numbers))
    return [UNSET if row == WHOLE_RECORD else row for row in rows[numbers].tolist()]


def _joined_items(
    prediction: Prediction, numbers: NDArray[np.int64]
) -> Iterable[list[int] | UnsetType]:
    """Return the items from which rows were joined; UNSET for an item that is one row."""
    places = prediction.places
    if not places.joined_from:
        return repeat(UNSET, len(numbers))
    return [
        UNSET
        if row is UNSET
        else [item - prediction.history_items for item in places.joined_from[number]]
        for number, row in zip(numbers.tolist(), _rows_in_items(prediction, numbers), strict=True)
    ]


def _sparse_column(
    rows: int, default_value: Any, row_indices: NDArray[np.int64], values: Sequence[object]
) -> list[Any]:
    """Return a column that has `values` at `row_indices` and `default_value` elsewhere."""
    column = [default_value] * rows
    for row_index, value in zip(row_indices.tolist(), values, strict=True):
        column[row_index] = value
    return column
