"""A request's body and a detector in; one outcome per row out."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from sensorwatch.api.json_pointers import pointer
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.request import BadBody, RequestRows, TooManyRows, split_request
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process

CHUNK_ROWS = 2_000
"""Rows that are scored, and encoded, at a time: while they are, nobody else gets the interpreter
for about a millisecond."""
MAX_FAULTS = 50_000
"""From here on a request's rows are not looked at any more, so that its answer stays bounded."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What became of a request's rows."""

    version: str
    history: int
    """How many of the rows come first and are not answered."""
    payloads: list[bytes]
    """Of the history's rows, then of the others."""
    outcomes: list[Outcome]
    """Of consecutive slices of SLICE_ROWS rows after the history; fewer after too many faults."""
    rejections: list[Rejection]
    """Every bad row, its index counted from the first of the history."""
    unread_rows: int
    """How many rows at the end were not looked at, after too many faults."""

    @property
    def bad_history(self) -> bool:
        """Whether a row of the history cannot be scored."""
        return bool(self.rejections) and self.rejections[0].index < self.history


def predict(body: bytes, detector: Detector, *, received: int, max_rows: int) -> Prediction:
    """Score `{"rows": [...]}`, every row from the memory that the row before it left.

    The memory is cold before the first row of the request's `history`, or of `rows`, if it has
    none. `received`: when the request came, microseconds UTC; readings may not lie far after it.
    Raises Problem where the body is not `{"rows": [...]}` or has no rows (422), or too many (413).
    """
    prediction = _decode_rows(body, max_rows)
    return score_rows(prediction.rows, detector, received=received, history=prediction.history)


def score_rows(
    rows: list[bytes], detector: Detector, *, received: int, history: Sequence[bytes] = ()
) -> Prediction:
    """Score rows that are cut already; see `predict`."""
    payloads = [*history, *rows]
    prediction = Prediction(detector.version, len(history), payloads, [], [], 0)
    memory, faults = detector.empty_memory(), 0
    for start, end in _chunk_bounds(len(history), len(payloads)):
        outcome = process(
            payloads[start:end], detector, memory, received=[received] * (end - start)
        )
        if start >= len(history):
            prediction.outcomes.append(outcome)
        for rejection in outcome.rejections:
            index = start + rejection.index
            prediction.rejections.append(Rejection(index, rejection.faults))
            faults += len(rejection.faults)
            if faults > MAX_FAULTS:
                return replace(prediction, unread_rows=len(payloads) - index - 1)
    return prediction


def _chunk_bounds(history: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut the history and the rest into slices of SLICE_ROWS, so that none holds both."""
    for first, last in ((0, history), (history, rows)):
        for start in range(first, last, CHUNK_ROWS):
            yield start, min(start + CHUNK_ROWS, last)


def _decode_rows(body: bytes, max_rows: int) -> RequestRows:
    try:
        prediction = split_request(body, max_rows=max_rows)
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except BadBody as error:
        raise _bad_body_problem(str(error), pointer()) from error
    if not prediction.rows:
        raise _bad_body_problem("there are no rows; wanted at least one", pointer("rows"))
    return prediction


def _bad_body_problem(detail: str, where: str) -> Problem:
    errors = [{"pointer": where, "detail": detail}]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
