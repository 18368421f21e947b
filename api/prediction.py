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

SLICE_ROWS = 2_000
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
    unread: int
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
    found = _rows(body, max_rows)
    return predict_rows(found.rows, detector, received=received, history=found.history)


def predict_rows(
    rows: list[bytes], detector: Detector, *, received: int, history: Sequence[bytes] = ()
) -> Prediction:
    """Score rows that are cut already; see `predict`."""
    payloads = [*history, *rows]
    found = Prediction(detector.version, len(history), payloads, [], [], 0)
    memory, faults = detector.empty_memory(), 0
    for start, end in _slices(len(history), len(payloads)):
        outcome = process(
            payloads[start:end], detector, memory, received=[received] * (end - start)
        )
        if start >= len(history):
            found.outcomes.append(outcome)
        for rejection in outcome.rejections:
            index = start + rejection.index
            found.rejections.append(Rejection(index, rejection.faults))
            faults += len(rejection.faults)
            if faults > MAX_FAULTS:
                return replace(found, unread=len(payloads) - index - 1)
    return found


def _slices(history: int, rows: int) -> Iterator[tuple[int, int]]:
    """Cut the history and the rest into slices of SLICE_ROWS, so that none holds both."""
    for first, last in ((0, history), (history, rows)):
        for start in range(first, last, SLICE_ROWS):
            yield start, min(start + SLICE_ROWS, last)


def _rows(body: bytes, max_rows: int) -> RequestRows:
    try:
        found = split_request(body, max_rows=max_rows)
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except BadBody as error:
        raise _bad_body(str(error), pointer()) from error
    if not found.rows:
        raise _bad_body("there are no rows; wanted at least one", pointer("rows"))
    return found


def _bad_body(detail: str, where: str) -> Problem:
    errors = [{"pointer": where, "detail": detail}]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
