"""Why a record is not a reading, as a value."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.escaping import escaped

MAX_DETAIL_CHARACTERS = 200


class Reason(StrEnum):
    """The closed list of reasons; the order is part of the ledger's digest, so it only grows."""

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
    """One thing that is wrong with a record, in which field, and what was found there."""

    reason: Reason
    field: str
    """The field's path in the record; empty where the record as a whole is meant."""
    detail: str


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why the record at `index` of its micro-batch is not a reading: all its faults in order."""

    index: int
    faults: tuple[Fault, ...]

    @property
    def reason(self) -> Reason:
        """The first fault's reason: the one that names the dead letter."""
        return self.faults[0].reason

    @property
    def field(self) -> str:
        """The first fault's field."""
        return self.faults[0].field

    @property
    def detail(self) -> str:
        """The first fault's detail."""
        return self.faults[0].detail


def short_repr(value: object) -> str:
    """Describe a value that was found, cut to a bound, so that it can stand in a message."""
    return _shorten(repr(value))


def short_printable(text: str) -> str:
    """Return a text that can stand in a message: cut like `short_repr`, nothing a terminal obeys."""
    return _shorten(escaped(text))


def _shorten(text: str) -> str:
    limit = MAX_DETAIL_CHARACTERS // 2
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def make_fault(reason: Reason, field: str, detail: str) -> Fault:
    """Build a fault whose field and detail are cut to `MAX_DETAIL_CHARACTERS`."""
    return Fault(reason, _truncate(field), _truncate(detail))


def _truncate(text: str) -> str:
    return text if len(text) <= MAX_DETAIL_CHARACTERS else text[: MAX_DETAIL_CHARACTERS - 3] + "..."
