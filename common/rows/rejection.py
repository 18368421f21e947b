"""Rejections: the reasons why a record is not a valid reading."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

from sensorwatch.common.escaping import escape

MAX_DETAIL_CHARACTERS = 200
MAX_FAULTS = 100
"""Once a record has this number of faults, further faults are not reported.

A hostile record could have tens of thousands of unknown fields.
"""


class Reason(StrEnum):
    """Reasons of rejections. The ledger's digest depends on their order: add new reasons last."""

    EMPTY = "empty"
    NOT_JSON = "not_json"
    NOT_OBJECT = "not_object"
    MISSING_FIELD = "missing_field"
    NULL_VALUE = "null_value"
    UNKNOWN_FIELD = "unknown_field"
    WRONG_TYPE = "wrong_type"
    NOT_FINITE = "not_finite"
    OUT_OF_RANGE = "out_of_range"
    BAD_TIMESTAMP = "bad_timestamp"
    FUTURE_TIMESTAMP = "future_timestamp"
    BAD_KEY = "bad_key"
    TOO_LARGE = "too_large"
    FRAMED = "framed"
    LATE = "late"
    DUPLICATE = "duplicate"
    SCORING_FAILED = "scoring_failed"


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault of a record: its reason, its field and the details."""

    reason: Reason
    field: str
    """The path of the field; empty for a fault of the whole record."""
    detail: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """All faults of one rejected record, in the order in which they were found."""

    index: int
    """Position of the record in its micro-batch."""
    faults: tuple[Fault, ...]
    rows: tuple[int, ...] = ()
    """Indices of the rejected rows in the array of the record; empty if the whole record is
    rejected."""

    @property
    def reason(self) -> Reason:
        """The reason of the first fault, which becomes the code of the dead letter."""
        return self.faults[0].reason

    @property
    def field(self) -> str:
        """The field of the first fault."""
        return self.faults[0].field

    @property
    def detail(self) -> str:
        """The detail of the first fault."""
        return self.faults[0].detail


def merge_rejections(
    index: int, faults_of_rows: Sequence[tuple[int, tuple[Fault, ...]]]
) -> Rejection:
    """Return one rejection with the faults of a record's rows, at most MAX_FAULTS faults.

    `faults_of_rows`: for each rejected row, its index and its faults. The index is the row's place
    in the array of the record, or negative if the record is one row.
    """
    if len(faults_of_rows) == 1 and faults_of_rows[0][0] < 0:
        return Rejection(index, faults_of_rows[0][1])
    faults = (
        make_fault(fault.reason, _field_of_row(row, fault.field), fault.detail)
        for row, row_faults in faults_of_rows
        for fault in row_faults
    )
    rows = tuple(row for row, _ in faults_of_rows)
    return Rejection(index, tuple(islice(faults, MAX_FAULTS)), rows)


def _field_of_row(row: int, field: str) -> str:
    return f"[{row}].{field}" if field else f"[{row}]"


def join_rejections(first: Rejection, second: Rejection) -> Rejection:
    """Return one rejection of a record from two rejections of different rows of its array."""
    return Rejection(
        first.index,
        (*first.faults, *second.faults)[:MAX_FAULTS],
        tuple(sorted((*first.rows, *second.rows))),
    )


def short_repr(value: object) -> str:
    """Return the shortened repr of a value, for use in a message."""
    return _shorten(repr(value))


def short_printable(text: str) -> str:
    """Return a text, shortened and with unprintable characters escaped, for use in a message."""
    return _shorten(escape(text))


def _shorten(text: str) -> str:
    limit = MAX_DETAIL_CHARACTERS // 2
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def make_fault(reason: Reason, field: str, detail: str) -> Fault:
    """Return a fault with field and detail truncated to `MAX_DETAIL_CHARACTERS`."""
    return Fault(reason, _truncate(field), _truncate(detail))


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_CHARACTERS else text[: MAX_DETAIL_CHARACTERS - 3] + "..."
