"""Simulated rows as Kafka records: the key names the sensor, the label stays out of the value."""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.simulation.sensors import SIGNALS
from sensorwatch.common.simulation.stream import Chunk
from sensorwatch.producer.malformed_rows import broken_json


class Record(NamedTuple):
    """What is sent: nothing in the value says what the row is labelled."""

    key: str
    """The sensor's id."""
    value: bytes
    label: str
    """The kind of fault, or nothing."""


# A struct, not a dict per row: it is built and written three times as fast.
_Payload: Callable[..., msgspec.Struct] = msgspec.defstruct(
    "_Payload",
    [("timestamp", str), ("sensor_id", str), *((name, float) for name in SIGNALS)],
)
_encoder = msgspec.json.Encoder()


def simulated_records(chunk: Chunk) -> Iterator[Record]:
    """Yield each row as JSON; floats are written so that they read back to the same bits."""
    time = lru_cache(maxsize=16)(format_instant)
    rows = zip(
        chunk.event_time.tolist(),
        chunk.sensor_id,
        chunk.values.tolist(),
        chunk.label,
        chunk.defects,
        strict=True,
    )
    for event_time, sensor, values, label, defect in rows:
        payload = _Payload(time(event_time), sensor, *values)
        if defect is None:
            value = _encoder.encode(payload)
        else:
            value = broken_json(msgspec.structs.asdict(payload), defect)
        yield Record(sensor, value, label)
