"""The response of `/predict`, with the score or the errors of each row."""

from collections.abc import Sequence
from enum import StrEnum
from http import HTTPStatus

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType
from numpy.typing import NDArray

from sensorwatch.api.json_pointers import fault_pointers
from sensorwatch.api.prediction import Prediction
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, explain_rows
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUS_TEXTS


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
    sensor_id: str
    event_time: str
    status: str
    anomaly_score: float
    raw_score: float
    is_anomaly: bool
    p_value: float
    severity: str
    episode_start: int | None
    signals: list[SignalReading] | UnsetType


class _SkippedRow(msgspec.Struct, frozen=True):
    """A bad row; `api/response_models.py` describes the fields."""

    index: int
    errors: list[dict[str, object]]


def encode_response(
    prediction: Prediction, detector: Detector, *, on_error: OnError, signals: Signals
) -> bytes:
    """Return the JSON response to a request.

    If a row is bad and `on_error` is reject, raises Problem (422), which lists every fault.
    """
    bad_rows = prediction.rejections
    if (
        prediction.unread_rows
        or prediction.has_bad_history
        or (bad_rows and on_error is OnError.REJECT)
    ):
        raise _bad_rows_problem(prediction)
    scored_count = sum(len(outcome.readings) for outcome in prediction.outcomes)
    anomaly_count = sum(int(outcome.detections.is_anomaly.sum()) for outcome in prediction.outcomes)
    response_head = msgspec.json.encode(
        {
            "model_version": prediction.version,
            "threshold": detector.calibration.threshold,
            "scored": scored_count,
            "anomalies": anomaly_count,
            "rejected": len(bad_rows),
        }
    )
    # Encode chunk by chunk, because other threads cannot run while a chunk is encoded.
    rows = b",".join(
        msgspec.json.encode(_row_structs(outcome, detector, signals, prediction))[1:-1]
        for outcome in prediction.outcomes
    )
    return response_head[:-1] + b',"rows":[' + rows + b"]}"


def _bad_rows_problem(prediction: Prediction) -> Problem:
    bad_rows, unread_rows = prediction.rejections, prediction.unread_rows
    detail = (
        f"{len(bad_rows)} of {len(prediction.payloads)} rows cannot be scored, "
        "so no row was scored: "
    )
    if unread_rows:
        detail += f"there are too many faults, so the last {unread_rows} rows were not read"
    elif prediction.has_bad_history:
        detail += "correct them; history rows are never skipped"
    else:
        detail += "correct them, or use ?on_error=skip to get the scores of the other rows"
    # Encode row by row, because other threads cannot run during one call of `encode`.
    errors = b",".join(
        msgspec.json.encode(
            [
                {**error, "index": _list_and_index(rejection, prediction)[1]}
                for error in _errors(rejection, prediction)
            ]
        )[1:-1]
        for rejection in bad_rows
    )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=msgspec.Raw(b"[" + errors + b"]")
    )


def _list_and_index(rejection: Rejection, prediction: Prediction) -> tuple[str, int]:
    """Return the name of the list that contains a bad row, and its index in that list."""
    index = rejection.index - prediction.history_rows
    return ("rows", index) if index >= 0 else ("history", rejection.index)


def _errors(rejection: Rejection, prediction: Prediction) -> list[dict[str, object]]:
    payload = prediction.payloads[rejection.index]
    pointers = fault_pointers(rejection, payload, *_list_and_index(rejection, prediction))
    return [
        {"pointer": fault_pointer, "detail": fault.detail, "reason": fault.reason}
        for fault_pointer, fault in zip(pointers, rejection.faults, strict=True)
    ]


def _row_structs(
    outcome: Outcome, detector: Detector, signals: Signals, prediction: Prediction
) -> list[_ScoredRow | _SkippedRow]:
    """Return the scored and the bad rows of a chunk, in the order of the request."""
    scored_rows = _scored_rows(outcome, detector, signals, prediction.history_rows)
    if not outcome.rejections:
        return scored_rows
    rows: list[_ScoredRow | _SkippedRow | None] = [None] * outcome.records
    for row_index, row in zip(outcome.readings.index.tolist(), scored_rows, strict=True):
        rows[row_index] = row
    for rejection in outcome.rejections:
        absolute_rejection = Rejection(int(outcome.positions[rejection.index]), rejection.faults)
        errors = _errors(absolute_rejection, prediction)
        _, index = _list_and_index(absolute_rejection, prediction)
        rows[rejection.index] = _SkippedRow(index, errors)
    return [row for row in rows if row is not None]


def _scored_rows(
    outcome: Outcome, detector: Detector, signals: Signals, history_rows: int
) -> list[_ScoredRow | _SkippedRow]:
    """Return the scored rows. Each column is converted as a whole, which is fast."""
    readings, detections = outcome.readings, outcome.detections
    anomalous_rows = np.flatnonzero(detections.is_anomaly)
    explained_rows = np.arange(len(readings)) if signals is Signals.ALL else anomalous_rows
    return list(
        map(
            _ScoredRow,
            (outcome.positions[readings.index] - history_rows).tolist(),
            np.asarray(readings.sensor_ids, dtype=object)[readings.sensor].tolist(),
            format_instants(readings.event_time),
            STATUS_TEXTS[detections.status].tolist(),
            detections.anomaly_score.tolist(),
            detections.raw_score.tolist(),
            detections.is_anomaly.tolist(),
            detections.p_value.tolist(),
            SEVERITY_TEXTS[detections.severity].tolist(),
            _sparse_column(
                len(readings),
                None,
                anomalous_rows,
                (detections.episode[anomalous_rows] - history_rows).tolist(),
            ),
            _sparse_column(
                len(readings),
                UNSET,
                explained_rows,
                explain_rows(detector, outcome, explained_rows),
            ),
        )
    )


def _sparse_column(
    rows: int, default_value: object, row_indices: NDArray[np.int64], values: Sequence[object]
) -> list[object]:
    """Return a column that has `values` at `row_indices` and `default_value` elsewhere."""
    column = [default_value] * rows
    for row_index, value in zip(row_indices.tolist(), values, strict=True):
        column[row_index] = value
    return column
