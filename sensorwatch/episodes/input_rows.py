"""Read the rows of a sensor around an episode back from the input topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.records import received_at
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.kafka.topic_reader import read_topic, watermarks
from sensorwatch.common.rows.records import parse_records
from sensorwatch.common.rows.schema import Schema

RECORDS_BEFORE, RECORDS_AFTER = 20_000, 20_000
"""Largest number of records of all sensors that are read before and after the episode."""
MAX_RECORDS = 200_000
"""Largest number of records that are read in all."""


@dataclass(frozen=True, slots=True)
class SensorRows:
    """Rows of one sensor, in the order of the input topic."""

    times: list[datetime]
    """Event times, UTC."""
    values: NDArray[np.float64]
    """Shape (rows, signals). NaN if a value was missing."""
    in_episode: NDArray[np.bool_]
    """Shape (rows,). Whether the row is between the begin and the end of the episode."""

    def around_episode(self, rows: int) -> "SensorRows":
        """Return the rows of the episode, with at most `rows` rows before and after it."""
        positions = np.flatnonzero(self.in_episode)
        if len(positions) == 0:
            return self
        first, end = max(int(positions[0]) - rows, 0), int(positions[-1]) + 1 + rows
        return SensorRows(self.times[first:end], self.values[first:end], self.in_episode[first:end])


def read_rows_around(
    kafka: Mapping[str, Any], episode: EpisodeState, schema: Schema
) -> SensorRows | str:
    """Return the sensor's rows around an episode, or the reason why there are none, as a sentence.

    `schema`: the schema of the model version that scored the rows. Counters are not replaced by
    their rates.
    """
    first_source, last_source = episode.first_source, episode.last_source
    if first_source is None:
        return "the events of the episode do not name their input records"
    topic, partition = first_source.topic, first_source.partition
    last_offset = first_source.offset if last_source is None else last_source.offset
    try:
        offset_bounds = watermarks(kafka, topic).get(partition)
        if offset_bounds is None:
            return f'the topic "{topic}" has no partition {partition} any more'
        begin = max(first_source.offset - RECORDS_BEFORE, offset_bounds[0])
        end = min(last_offset + 1 + RECORDS_AFTER, offset_bounds[1], begin + MAX_RECORDS)
        if begin > last_offset or end <= begin:
            return (
                f'the topic "{topic}" no longer has the rows of the episode: its oldest record in '
                f"partition {partition} has the offset {offset_bounds[0]}, and the last row of the "
                f"episode has the offset {last_offset}"
            )
        messages = list(read_topic(kafka, topic, begin={partition: begin}, end={partition: end}))
    except BrokerUnavailable as error:
        return f"the input rows cannot be read: {error}"
    parsed = parse_records(
        [message.value() for message in messages],
        schema,
        received=[received_at(message) for message in messages],
        sources=sources_of_records(messages, schema),
    )
    readings = parsed.readings
    if episode.sensor_id not in readings.sensor_ids:
        return f'no row of the sensor "{episode.sensor_id}" is in the records {begin} to {end - 1}'
    number = list(readings.sensor_ids).index(episode.sensor_id)
    sensor_rows = np.flatnonzero(readings.sensor == number)
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    times = [
        epoch + timedelta(microseconds=time) for time in readings.event_time[sensor_rows].tolist()
    ]
    last_time = episode.end or episode.last
    return SensorRows(
        times,
        readings.values[sensor_rows][:, : len(schema.signals)],
        np.asarray([episode.begin <= time <= last_time for time in times], dtype=np.bool_),
    )
