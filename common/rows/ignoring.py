"""Records that the schema ignores: messages of another kind, and tombstones."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.absorption import (
    NO_ABSORBED_RECORDS,
    AbsorbedReason,
    AbsorbedRecords,
    absorbed_records,
)
from sensorwatch.common.rows.fields import make_lookup
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, decode


def find_absorbed(payloads: Sequence[bytes | None], schema: Schema) -> AbsorbedRecords:
    """Return the payloads that the schema ignores.

    A record is ignored if one field of `[ignore]` has one of the declared values, or if it has no
    value and `tombstones = "ignore"`.
    """
    ignores_tombstones = schema.ignores_tombstones
    if not schema.ignore and not ignores_tombstones:
        return NO_ABSORBED_RECORDS
    rules = _rules(schema)
    reasons = []
    for position, payload in enumerate(payloads):
        if payload is None:
            reason = AbsorbedReason.TOMBSTONE if ignores_tombstones else None
        else:
            reason = AbsorbedReason.FILTERED if rules.match_payload(payload) else None
        if reason is not None:
            reasons.append((position, reason))
    return absorbed_records(reasons)


def positions_without(absorbed: AbsorbedRecords, records: int) -> NDArray[np.int64]:
    """Return the positions, shape (records - absorbed,), of the records that are not absorbed."""
    return np.delete(np.arange(records), absorbed.index)


def is_ignored(row: Fields | Fault, schema: Schema) -> bool:
    """Return whether a field of a row has a value for which `[ignore]` ignores the row."""
    return bool(schema.ignore) and isinstance(row, Mapping) and _rules(schema).match_fields(row)


class _Rules(NamedTuple):
    """The rules of `[ignore]`, ready to be applied."""

    fields: tuple[tuple[Callable[[Mapping[str, object]], object], frozenset[str]], ...]
    """For each field, its lookup and the texts of the values that are ignored."""
    encoded_values: tuple[bytes, ...]
    """A payload that matches, and has no backslash, contains at least one of these."""

    def match_payload(self, payload: bytes) -> bool:
        """Return whether a JSON payload matches; most payloads are not decoded for this."""
        may_match = b"\\" in payload or any(value in payload for value in self.encoded_values)
        if not may_match:
            return False
        fields = decode(payload)
        return isinstance(fields, Mapping) and self.match_fields(fields)

    def match_fields(self, fields: Mapping[str, object]) -> bool:
        return any(_text_of_value(lookup(fields)) in texts for lookup, texts in self.fields)


@lru_cache(maxsize=64)
def _rules(schema: Schema) -> _Rules:
    texts = [text for _, values in schema.ignore for text in map(_text_of_value, values)]
    return _Rules(
        tuple(
            (make_lookup(path), frozenset(text for text in map(_text_of_value, values) if text))
            for path, values in schema.ignore
        ),
        tuple(msgspec.json.encode(text)[1:-1] for text in texts if text is not None),
    )


def _text_of_value(value: object) -> str | None:
    """Return the text of a value, as a CSV cell has it; None for other values."""
    match value:
        case bool():
            return "true" if value else "false"
        case str() | int():
            return str(value)
    return None
