"""From payloads to readings and rejections: what is usual in one go, the rest strictly."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import Crew, alone
from sensorwatch.common.rows.fast.json_rows import KEY, NO_KEY, OPTIONAL_KEY, read_rows
from sensorwatch.common.rows.fast.sensor_ids import number_sensors
from sensorwatch.common.rows.fast.timestamps import TIME_KINDS
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.common.rows.readings import Readings, merged
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.schema import Missing, Schema, UnknownFields
from sensorwatch.common.rows.strict_parsing import Times, parse_strictly

FEWEST = 4
"""With fewer payloads the strict parser is there sooner."""
_LONGEST_AHEAD = 2**61


@dataclass(frozen=True, slots=True)
class _Plan:
    """A schema as the kernel reads it: fields are the time, the key if there is one, columns."""

    names: NDArray[np.uint8]
    name_ends: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    held: NDArray[np.bool_]
    rules: tuple[int, bool, int, int, bool]
    """Kind of times, whether naive ones are UTC, microseconds that they may lie ahead
    (-1: any), whether there is a key, whether unknown fields are ignored.
    """


def parse(
    payloads: Sequence[bytes | None],
    schema: Schema,
    *,
    received: Times | None = None,
    crew: Crew = alone,
) -> tuple[Readings, list[Rejection]]:
    """Turn JSON payloads into readings and rejections, each payload into exactly one of them.

    The same as `parse_strictly`, to the bit. `received`: one time per payload, against which
    `max_future_seconds` is checked; None (whole or one): not checked.
    """
    plan = _plan(schema) if len(payloads) >= FEWEST else None
    if plan is None:
        return parse_strictly(payloads, schema, received=received)
    times = _times(received, len(payloads))
    usual, readings = _usual(payloads, plan, schema, times, crew)
    rest = np.flatnonzero(~usual)
    if len(rest) == 0:
        return readings, []
    where = rest.tolist()
    others, rejections = parse_strictly(
        [payloads[row] for row in where], schema, received=times[rest]
    )
    rejections = [Rejection(where[one.index], one.faults) for one in rejections]
    if len(others):
        readings = merged([readings, replace(others, index=rest[others.index])])
    return readings, rejections


def _usual(
    payloads: Sequence[bytes | None],
    plan: _Plan,
    schema: Schema,
    received: NDArray[np.int64],
    crew: Crew,
) -> tuple[NDArray[np.bool_], Readings]:
    """Read what the kernel reads; say of each payload whether it is among the readings."""
    n, columns, signals = len(payloads), len(schema.columns), len(schema.signals)
    texts = cast("Sequence[bytes]", payloads)
    try:
        text = b"".join(texts)
    except TypeError:  # some have no value: asking each beforehand would be felt
        texts = [payload or b"" for payload in payloads]
        text = b"".join(texts)
    data = np.frombuffer(text, dtype=np.uint8)
    ends = np.cumsum(np.fromiter(map(len, texts), dtype=np.int64, count=n))
    usual = np.empty(n, dtype=np.bool_)
    event_time, id_at, id_length = np.empty((3, n), dtype=np.int64)
    values = np.empty((n, columns))
    fields = (plan.names, plan.name_ends, plan.low, plan.high, plan.held, plan.rules)
    found = (usual, event_time, values, id_at, id_length)
    crew(lambda begin, end: read_rows(begin, end, data, ends, *fields, received, *found), n)
    index = np.flatnonzero(usual)
    if len(index) < n:
        event_time, id_at, id_length = event_time[index], id_at[index], id_length[index]
        values = values[index]
    sensor, sensor_ids = number_sensors(text, id_at, id_length)
    return usual, Readings(
        index,
        event_time,
        sensor,
        sensor_ids,
        np.ascontiguousarray(values[:, :signals]),
        np.ascontiguousarray(values[:, signals:]),
    )


def _times(received: Times | None, n: int) -> NDArray[np.int64]:
    if received is None:
        return np.full(n, NO_TIME, dtype=np.int64)
    if isinstance(received, np.ndarray):
        return received
    known = [NO_TIME if time is None else time for time in received]
    return np.asarray(known, dtype=np.int64)


@lru_cache(maxsize=64)
def _plan(schema: Schema) -> _Plan | None:
    """Return None where the kernel cannot read rows of this schema."""
    declared, paths = schema.time, schema.paths
    kind = TIME_KINDS.get(declared.format)
    plain = all(path.isascii() and path.isprintable() for path in paths)
    nested = any("." in path or '"' in path or "\\" in path for path in paths)
    if kind is None or nested or not plain:
        return None
    ahead = declared.max_future_seconds
    key = NO_KEY if schema.key is None else OPTIONAL_KEY if schema.key.optional else KEY
    names = [path.encode() for path in paths]
    low, high = np.transpose([column.bounds for column in schema.columns])
    return _Plan(
        np.frombuffer(b"".join(names), dtype=np.uint8),
        np.cumsum([len(name) for name in names]),
        np.ascontiguousarray(low, dtype=np.float64),
        np.ascontiguousarray(high, dtype=np.float64),
        np.asarray([column.missing is Missing.HOLD_LAST for column in schema.columns]),
        (
            int(kind),
            declared.naive_zone == "UTC",
            -1 if ahead is None else int(min(ahead * 1_000_000, _LONGEST_AHEAD)),
            key,
            schema.unknown_fields is UnknownFields.IGNORE,
        ),
    )
