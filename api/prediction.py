"""Score the rows of a request with one detector."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

from sensorwatch.api.json_pointers import pointer
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.request import BadBody, RequestRows, TooManyRows, split_request
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, score_readings

CHUNK_ROWS = 2_000
"""Number of rows that are scored or encoded in one step.

During a step of about 1 ms, no other thread can run Python code."""
MAX_FAULTS = 50_000
"""Once a request has more faults than this, its remaining rows are not read.

This number limits the size of the response."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outcomes and rejections of a request's rows."""

    version: str
    history_rows: int
    """Number of history rows. The response does not contain them."""
    payloads: list[bytes]
    """The bytes of each row, history rows first."""
    outcomes: list[Outcome]
    """The outcome of each chunk of at most CHUNK_ROWS rows, without history and unread rows."""
    rejections: list[Rejection]
    """All bad rows. An index is a position in `payloads`."""
    unread_rows: int
    """Number of rows at the end that were not read, because there were too many faults."""

    @property
    def has_bad_history(self) -> bool:
        """Return whether a history row cannot be scored."""
        return bool(self.rejections) and self.rejections[0].index < self.history_rows


def predict(body: bytes, detector: Detector, *, received: int, max_rows: int) -> Prediction:
    """Return the prediction for a body `{"rows": [...]}` or `{"history": [...], "rows": [...]}`.

    The history rows and then the other rows are scored in order, with a memory that is cold before
    the first of them. `received`: time of the request in microseconds UTC; a row with a later time
    can be rejected. Raises Problem if the body has another form or no rows (422), or too many rows
    (413).
    """
    request_rows = _decode_rows(body, max_rows)
    return score_rows(request_rows.rows, detector, received=received, history=request_rows.history)


def score_rows(
    rows: list[bytes], detector: Detector, *, received: int, history: Sequence[bytes] = ()
) -> Prediction:
    """Return the prediction for rows, each given as JSON; see `predict`."""
    payloads = [*history, *rows]
    prediction = Prediction(detector.version, len(history), payloads, [], [], 0)
    memory, fault_count = detector.empty_memory(), 0
    for start, end in _chunk_bounds(len(history), len(payloads)):
        readings, rejections = parse(
            payloads[start:end], detector.schema, received=[received] * (end - start)
        )
        outcome = score_readings(
            readings, rejections, detector, memory, positions=memory.next_positions(end - start)
        )
        if start >= len(history):
            prediction.outcomes.append(outcome)
        for rejection in outcome.rejections:
            index = start + rejection.index
            prediction.rejections.append(Rejection(index, rejection.faults))
            fault_count += len(rejection.faults)
            if fault_count > MAX_FAULTS:
                return replace(prediction, unread_rows=len(payloads) - index - 1)
    return prediction


def _chunk_bounds(history_rows: int, rows: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the end position of each chunk of at most CHUNK_ROWS rows.

    No chunk contains both history rows and other rows.
    """
    for range_start, range_end in ((0, history_rows), (history_rows, rows)):
        for start in range(range_start, range_end, CHUNK_ROWS):
            yield start, min(start + CHUNK_ROWS, range_end)


def _decode_rows(body: bytes, max_rows: int) -> RequestRows:
    try:
        request_rows = split_request(body, max_rows=max_rows)
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error
    except BadBody as error:
        raise _bad_body_problem(str(error), pointer()) from error
    if not request_rows.rows:
        raise _bad_body_problem("there are no rows; wanted at least one", pointer("rows"))
    return request_rows


def _bad_body_problem(detail: str, fault_pointer: str) -> Problem:
    errors = [{"pointer": fault_pointer, "detail": detail}]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
