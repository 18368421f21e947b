"""Records whose key is outside of the payload: the kernel reads the payloads without the key."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.fields import key_reader
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema


@lru_cache(maxsize=64)
def payload_schema(schema: Schema) -> Schema | None:
    """Return the schema of the payloads without the key.

    Returns None unless every field of the key, and no other field, is outside of the payload.
    """
    if schema.rows or schema.long_form or schema.key is None:
        return None
    if set(schema.source_names) != set(schema.key.fields):
        return None
    return schema.with_changes(key=None)


def with_keys(
    readings: Readings, schema: Schema, sources: Sequence[Mapping[str, object]]
) -> tuple[Readings, NDArray[np.int64]]:
    """Return the readings with the sensors of their records, and the records without a valid key.

    `sources`: the sources of each record. The second result contains the indices of the records
    whose key is not valid; their readings are left out.
    """
    read_key = _cached_key_reader(schema)
    sensors = [read_key(sources[index]) for index in readings.index.tolist()]
    number_by_id: dict[str, int] = {}
    numbers = [
        -1 if sensor is None else number_by_id.setdefault(sensor, len(number_by_id))
        for sensor in sensors
    ]
    sensor_numbers = np.asarray(numbers, dtype=np.int32)
    has_key = sensor_numbers >= 0
    keyed_readings = replace(readings, sensor=sensor_numbers, sensor_ids=tuple(number_by_id))
    return keyed_readings.take(has_key), readings.index[~has_key]


def _cached_key_reader(schema: Schema) -> Callable[[Mapping[str, object]], str | None]:
    """Return a function that returns the sensor in a record's sources, or None if there is none."""
    assert schema.key is not None, "only a schema with a key has a reader for it"
    read_key, names = key_reader(schema), schema.key.fields
    sensor_by_values: dict[tuple[object, ...], str | None] = {}

    def read(sources: Mapping[str, object]) -> str | None:
        values = tuple(sources.get(name) for name in names)
        # The types are part of the key, because 1 and True are equal, but only 1 is a sensor id.
        cache_key = (values, tuple(map(type, values)))
        if cache_key in sensor_by_values:
            return sensor_by_values[cache_key]
        faults: list[Fault] = []
        sensor = read_key(sources, faults)
        sensor_by_values[cache_key] = None if faults else sensor
        return sensor_by_values[cache_key]

    return read
