"""The two request formats: rows on /predict, tensors on /v2/models/{name}/infer."""

from dataclasses import dataclass
from typing import Protocol

from sensorwatch.api.inference_protocol import (
    decode_infer_request,
    encode_infer_response,
    rows_as_payloads,
)
from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import Prediction, predict, score_rows
from sensorwatch.common.scoring.detector import Detector


class ScoringRequest(Protocol):
    """A scoring request. The methods of a large request are called in a thread."""

    @property
    def body(self) -> bytes:
        """Return the request body."""

    def predict(self, detector: Detector, received: int) -> Prediction:
        """Score the rows of the request, and raise Problem if the body is invalid.

        `received`: time of the request in microseconds UTC.
        """

    def encode_response(self, prediction: Prediction, detector: Detector) -> bytes:
        """Return the JSON response. Raises Problem if there is a bad row that is not skipped."""


@dataclass(frozen=True, slots=True)
class RowsRequest:
    """A request to /predict, with the body `{"rows": [...]}`."""

    body: bytes
    max_rows: int
    on_error: OnError
    signals: Signals

    def predict(self, detector: Detector, received: int) -> Prediction:
        """Implement `ScoringRequest.predict`."""
        return predict(self.body, detector, received=received, max_rows=self.max_rows)

    def encode_response(self, prediction: Prediction, detector: Detector) -> bytes:
        """Implement `ScoringRequest.encode_response`."""
        return encode_response(prediction, detector, on_error=self.on_error, signals=self.signals)


class TensorsRequest:
    """A request to /v2/models/{name}/infer, with one tensor for each field."""

    def __init__(self, body: bytes, max_rows: int) -> None:
        self.body, self._max_rows = body, max_rows

    def predict(self, detector: Detector, received: int) -> Prediction:
        """Implement `ScoringRequest.predict`."""
        self._request = decode_infer_request(self.body, detector.schema, max_rows=self._max_rows)
        return score_rows(rows_as_payloads(self._request), detector, received=received)

    def encode_response(
        self,
        prediction: Prediction,
        detector: Detector,  # noqa: ARG002 - the V2 response has no signals
    ) -> bytes:
        """Implement `ScoringRequest.encode_response`."""
        return encode_infer_response(prediction, self._request)
