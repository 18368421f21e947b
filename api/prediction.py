"""Score the items of a request with one detector."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from http import HTTPStatus
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from sensorwatch.api.json_pointers import pointer
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.absorption import AbsorbedReason
from sensorwatch.common.rows.item_rows import ItemRows, parse_items
from sensorwatch.common.rows.readings import WHOLE_RECORD
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.request import BadBody, RequestRows, TooManyRows, split_request
from sensorwatch.common.rows.request_items import request_items
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, score_readings

MAX_FAULTS = 50_000
"""Number of faults in a request after which its remaining items are skipped.

This number limits the size of the response."""


class RowPlaces:
    """The place of each row in its request; rows are numbered in the order of scoring.

    The arrays have the shape (rows,). Items are positions in `Prediction.items`.
    """

    def __init__(self, chunks: Sequence[ItemRows]) -> None:
        self.order = _concatenate([chunk.order for chunk in chunks])
        """See `ItemRows.order`."""
        self.item = _concatenate([chunk.item for chunk in chunks])
        """See `ItemRows.item`."""
        rows = [chunk.row for chunk in chunks if chunk.row is not None]
        self.row = _concatenate(rows) if rows else None
        """See `ItemRows.row`."""
        self.joined_from = [items for chunk in chunks for items in chunk.joined_from]
        """See `ItemRows.joined_from`."""

    def sort_keys(self, numbers: NDArray[np.int64]) -> Iterable[tuple[int, int]]:
        """Return item and row by which the response sorts the entries of some rows.

        Joined rows come before the other entries of the item that closed them.
        """
        rows: Iterable[int] = repeat(-1, len(numbers))
        if self.row is not None and not self.joined_from:
            rows = self.row[numbers].tolist()
        return zip(self.order[numbers].tolist(), rows, strict=True)


def _concatenate(arrays: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)


@dataclass(frozen=True, slots=True)
class Prediction:
    """The outcomes of a request's rows. The position of an item also counts history items."""

    version: str
    schema: Schema
    """The schema with which the items were read."""
    history_items: int
    """Number of history items. The response does not contain their rows."""
    items: list[bytes]
    """The JSON of each item, history items first."""
    places: RowPlaces
    outcomes: list[Outcome]
    """The outcomes of consecutive rows, without those of the history. The positions of an outcome
    are numbers of rows in `places`."""
    rejections: list[Rejection]
    """All bad rows. An index is the position of an item."""
    ignored: list[tuple[int, AbsorbedReason]] = field(default_factory=list)
    """The positions of the ignored items after the history, in ascending order, with the reason."""
    unread_items: int = 0
    """Number of items at the end that were not read, because there were too many faults."""

    @property
    def has_bad_history(self) -> bool:
        """Return whether a history row cannot be scored."""
        return bool(self.rejections) and self.rejections[0].index < self.history_items


def predict(body: bytes, detector: Detector, *, received: int, max_rows: int) -> Prediction:
    """Return the prediction for a body `{"rows": [...]}` or `{"history": [...], "rows": [...]}`.

    An item of both lists is read like a record of a topic. The history items and then the other
    items are scored in order, with a memory that is cold before the first of them. `received`:
    time of the request in microseconds UTC; a row with a later time can be rejected. Raises Problem
    if the body has another form or no items (422), or too many rows (413).
    """
    request_rows = _decode_rows(body, max_rows)
    try:
        return _score_items(
            request_rows.rows,
            detector,
            detector.schema,
            received=received,
            history=request_rows.history,
            max_rows=max_rows,
        )
    except TooManyRows as error:
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error)) from error


def score_rows(rows: list[bytes], detector: Detector, *, received: int) -> Prediction:
    """Return the prediction for rows with one field per signal, each given as JSON."""
    flat_schema = _flat_schema(detector.schema)
    return _score_items(rows, detector, flat_schema, received=received, max_rows=len(rows))


def _score_items(
    rows: list[bytes],
    detector: Detector,
    schema: Schema,
    *,
    received: int,
    max_rows: int,
    history: Sequence[bytes] = (),
) -> Prediction:
    items = [*history, *rows]
    memory, fault_count = detector.empty_memory(), 0
    chunks: list[ItemRows] = []
    outcomes: list[Outcome] = []
    rejections: list[Rejection] = []
    ignored: list[tuple[int, AbsorbedReason]] = []
    unread_items = 0
    for chunk in parse_items(
        request_items(items, schema), schema, received=received, max_rows=max_rows
    ):
        outcome, chunk_rejections = _score_chunk(chunk, detector, memory)
        chunks.append(chunk)
        outcomes += _outcomes_after_history(outcome, chunk, len(history))
        ignored += [(item, reason) for item, reason in chunk.absorbed if item >= len(history)]
        for rejection in chunk_rejections:
            rejections.append(rejection)
            fault_count += len(rejection.faults)
            if fault_count > MAX_FAULTS:
                unread_items = len(items) - rejection.index - 1
                break
        if fault_count > MAX_FAULTS:
            break
    return Prediction(
        detector.version,
        schema,
        len(history),
        items,
        RowPlaces(chunks),
        outcomes,
        rejections,
        ignored,
        unread_items,
    )


def _score_chunk(
    chunk: ItemRows, detector: Detector, memory: Memory
) -> tuple[Outcome, list[Rejection]]:
    """Return the outcome of a chunk and all its bad rows. Each row counts as a separate record."""
    outcome = score_readings(chunk.readings, [], detector, memory)
    if not outcome.rejections:
        return outcome, chunk.rejections
    scoring_rejections = [_in_request(rejection, chunk) for rejection in outcome.rejections]
    return outcome, sorted([*chunk.rejections, *scoring_rejections], key=_item_and_row)


def _in_request(rejection: Rejection, chunk: ItemRows) -> Rejection:
    """Return the rejection of a scored row with the place of the row in the request."""
    row = WHOLE_RECORD
    if chunk.row is not None and not chunk.joined_from:
        row = int(chunk.row[rejection.index])
    rows = () if row == WHOLE_RECORD else (row,)
    return Rejection(int(chunk.item[rejection.index]), rejection.faults, rows)


def _item_and_row(rejection: Rejection) -> tuple[int, tuple[int, ...]]:
    return rejection.index, rejection.rows


def _outcomes_after_history(
    outcome: Outcome, chunk: ItemRows, history_items: int
) -> Iterable[Outcome]:
    """Yield the outcome without the rows of the history; yield nothing if no row is left."""
    if history_items:
        is_after_history: NDArray[np.bool_] = chunk.item[outcome.readings.index] >= history_items
        outcome = replace(
            outcome,
            readings=outcome.readings.take(is_after_history),
            detections=outcome.detections.take(is_after_history),
        )
    if outcome.rows:
        yield outcome


@lru_cache(maxsize=8)
def _flat_schema(schema: Schema) -> Schema:
    """Return the schema for records that are one row each, with one field per signal."""
    if not (schema.rows or schema.long_form):
        return schema
    return schema.with_changes(rows="", long_form=None, payload=PayloadFormat.JSON)


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
