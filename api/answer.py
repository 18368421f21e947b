"""The answer to a request: each row's score, or what is wrong with it."""

from enum import StrEnum
from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np

from api.pointers import fault_pointers
from api.prediction import Prediction
from api.problems import Problem
from common.detection.detections import SEVERITIES
from common.detection.detector import Detector
from common.detection.explanation import signals_of_rows
from common.detection.processing import Outcome
from common.detection.recall import STATUSES
from common.rows.instants import to_text
from common.rows.rejection import Rejection


class OnError(StrEnum):
    """What a bad row does to the request."""

    REJECT = "reject"
    SKIP = "skip"


class Signals(StrEnum):
    """Which rows tell their signals."""

    ANOMALOUS = "anomalous"
    ALL = "all"


def answer(
    prediction: Prediction, detector: Detector, *, on_error: OnError, signals: Signals
) -> bytes:
    """Return the JSON answer to a request.

    Raises Problem (422) naming every fault of every row where one is bad and `on_error` is reject.
    """
    bad = prediction.rejections
    if prediction.unread or prediction.bad_history or (bad and on_error is OnError.REJECT):
        raise _bad_rows(prediction)
    scored = sum(len(outcome.readings) for outcome in prediction.outcomes)
    anomalies = sum(int(outcome.detections.is_anomaly.sum()) for outcome in prediction.outcomes)
    head = msgspec.json.encode(
        {
            "model_version": prediction.version,
            "threshold": detector.calibration.threshold,
            "scored": scored,
            "anomalies": anomalies,
            "rejected": len(bad),
        }
    )
    # Slice by slice: while one is encoded, nobody else gets the interpreter.
    rows = b",".join(
        msgspec.json.encode(_rows(outcome, detector, signals, prediction))[1:-1]
        for outcome in prediction.outcomes
    )
    return head[:-1] + b',"rows":[' + rows + b"]}"


def _bad_rows(prediction: Prediction) -> Problem:
    bad, unread = prediction.rejections, prediction.unread
    detail = f"{len(bad)} of {len(prediction.payloads)} rows cannot be scored, so none was: "
    if unread:
        detail += f"so many faults that the last {unread} rows were not looked at"
    elif prediction.bad_history:
        detail += "correct them; a row of the history is never skipped"
    else:
        detail += "correct them, or ask with ?on_error=skip for the scores of the others"
    # Row by row: while one is encoded, nobody else gets the interpreter.
    errors = b",".join(
        msgspec.json.encode(
            [
                {**error, "index": _place(rejection, prediction)[1]}
                for error in _errors(rejection, prediction)
            ]
        )[1:-1]
        for rejection in bad
    )
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=msgspec.Raw(b"[" + errors + b"]")
    )


def _place(rejection: Rejection, prediction: Prediction) -> tuple[str, int]:
    """Return the list in which a bad row stands, and where."""
    index = rejection.index - prediction.history
    return ("rows", index) if index >= 0 else ("history", rejection.index)


def _errors(rejection: Rejection, prediction: Prediction) -> list[dict[str, object]]:
    payload = prediction.payloads[rejection.index]
    pointers = fault_pointers(rejection, payload, *_place(rejection, prediction))
    return [
        {"pointer": where, "detail": fault.detail, "reason": fault.reason}
        for where, fault in zip(pointers, rejection.faults, strict=True)
    ]


def _rows(
    outcome: Outcome, detector: Detector, signals: Signals, prediction: Prediction
) -> list[dict[str, Any]]:
    """Describe each row of a slice, in order."""
    rows: list[dict[str, Any]] = [{}] * outcome.records
    history, positions = prediction.history, outcome.positions.tolist()
    for rejection in outcome.rejections:
        there = Rejection(positions[rejection.index], rejection.faults)
        rows[rejection.index] = {
            "index": there.index - history,
            "errors": _errors(there, prediction),
        }
    readings, detections = outcome.readings, outcome.detections
    scored = zip(
        readings.index.tolist(),
        readings.sensor.tolist(),
        readings.event_time.tolist(),
        detections.anomaly_score.tolist(),
        detections.raw_score.tolist(),
        detections.is_anomaly.tolist(),
        detections.p_value.tolist(),
        detections.severity.tolist(),
        detections.status.tolist(),
        detections.episode.tolist(),
        strict=True,
    )
    for index, sensor, time, score, raw, is_anomaly, p_value, severity, status, episode in scored:
        rows[index] = {
            "index": positions[index] - history,
            "sensor_id": readings.sensor_ids[sensor],
            "event_time": to_text(time),
            "status": STATUSES[status],
            "anomaly_score": score,
            "raw_score": raw,
            "is_anomaly": is_anomaly,
            "p_value": p_value,
            "severity": SEVERITIES[severity],
            "episode_start": episode - history if is_anomaly else None,
        }
    _explain(rows, outcome, detector, signals)
    return rows


def _explain(
    rows: list[dict[str, Any]], outcome: Outcome, detector: Detector, signals: Signals
) -> None:
    readings, is_anomaly = outcome.readings, outcome.detections.is_anomaly
    told = np.flatnonzero(np.ones_like(is_anomaly) if signals is Signals.ALL else is_anomaly)
    described = signals_of_rows(detector, outcome, told)
    for index, signal_readings in zip(readings.index[told].tolist(), described, strict=True):
        rows[index]["signals"] = signal_readings
