"""A request's body and a detector in; one outcome per row out."""

from dataclasses import dataclass
from http import HTTPStatus

from api.pointers import pointer
from api.problems import Problem
from common.detection.detector import Detector
from common.detection.processing import Outcome, process
from common.rows.rejection import Rejection
from common.rows.request import BadBody, TooManyRows, rows_of

SLICE_ROWS = 500
MAX_FAULTS = 50_000
"""From here on a request's rows are not looked at any more, so that its answer stays bounded."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What became of a request's rows."""

    version: str
    payloads: list[bytes]
    outcomes: list[Outcome]
    """Of consecutive slices of SLICE_ROWS rows; fewer than there are rows after too many faults."""

    rejections: list[Rejection]
    """Every bad row, its index counted from the request's first."""

    unread: int
    """How many rows at the end were not looked at, after too many faults."""


def predict(body: bytes, detector: Detector, *, received: int, max_rows: int) -> Prediction:
    """Score `{"rows": [...]}`, every row from the memory that the row before it left.

    `received`: when the request came, microseconds UTC; readings may not lie far after it.
    Raises Problem where the body is not `{"rows": [...]}` or has no rows (422), or too many (413).
    """
    return predict_rows(_payloads(body, max_rows), detector, received=received)


def predict_rows(payloads: list[bytes], detector: Detector, *, received: int) -> Prediction:
    """Score rows that are cut already; see `predict`."""
    outcomes: list[Outcome] = []
    rejections: list[Rejection] = []
    memory, faults = detector.cold(), 0
    for start in range(0, len(payloads), SLICE_ROWS):
        rows = payloads[start : start + SLICE_ROWS]
        outcome = process(rows, detector, memory, received=[received] * len(rows))
        outcomes.append(outcome)
        for rejection in outcome.rejections:
            index = start + rejection.index
            rejections.append(Rejection(index, rejection.faults))
            faults += len(rejection.faults)
            if faults > MAX_FAULTS:
                unread = len(payloads) - index - 1
                return Prediction(detector.version, payloads, outcomes, rejections, unread)
    return Prediction(detector.version, payloads, outcomes, rejections, 0)


def _payloads(body: bytes, max_rows: int) -> list[bytes]:
    try:
        payloads = rows_of(body, max_rows=max_rows)
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except BadBody as error:
        raise _bad_body(str(error), pointer()) from error
    if not payloads:
        raise _bad_body("there are no rows; wanted at least one", pointer("rows"))
    return payloads


def _bad_body(detail: str, where: str) -> Problem:
    errors = [{"pointer": where, "detail": detail}]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
