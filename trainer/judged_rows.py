"""Leaves out the rows of true faults: episodes about which a person said that they were right."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.events import event_instant, read_event
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.kafka.topic_uri import TOPIC_PREFIX
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.verdicts.verdict import Verdict, VerdictRecord
from sensorwatch.common.verdicts.verdict_topic import read_verdicts
from sensorwatch.trainer.dataset import Dataset, read_data


@dataclass(frozen=True, slots=True)
class TrueFault:
    """The rows of an episode that a person judged as right. Times are microseconds UTC."""

    episode_id: str
    sensor_id: str
    begin: int
    end: int | None
    """Time of the last anomalous row; None if the episode is still open."""


def read_judged_data(
    settings: Settings,
    data: str,
    schema: Schema,
    *,
    rows: int | None,
    as_of: int,
    verdicts: bool | None,
) -> Dataset:
    """Return the rows of `read_data` without the rows of true faults.

    `verdicts`: whether verdicts are used; None means that they are used for the rows of a topic.
    Raises BrokerUnavailable if they cannot be read.
    """
    dataset = read_data(data, schema, rows=rows, as_of=as_of, kafka=settings.kafka)
    if verdicts or (verdicts is None and data.startswith(TOPIC_PREFIX)):
        return leave_out(dataset, read_true_faults(settings))
    return dataset


def read_true_faults(settings: Settings) -> list[TrueFault]:
    """Return the episodes that were judged as right, in the order of their ids.

    If an episode was open at the time of its verdict, the anomaly topic says when it ended.
    """
    records = read_verdicts(settings.kafka, settings.verdicts_topic)
    true_records = {
        key: record for key, record in records.items() if record.verdict is Verdict.TRUE
    }
    if all(record.end is not None for record in true_records.values()):
        return true_faults(true_records, EpisodeBook())
    # One more than the judged episodes: the episode of each other event, which is then forgotten.
    book = EpisodeBook(max_episodes=len(true_records) + 1)
    for message in read_topic(settings.kafka, settings.topics.anomalies):
        event = read_event(message)
        state = None if event is None else book.add(event)
        if state is not None and state.id not in true_records:
            book.forget(state.id)
    return true_faults(true_records, book)


def true_faults(records: Mapping[str, VerdictRecord], book: EpisodeBook) -> list[TrueFault]:
    """Return the faults of the records; `book`: the newest states of the episodes."""
    return [_true_fault(record, book) for _, record in sorted(records.items())]


def leave_out(dataset: Dataset, faults: Sequence[TrueFault]) -> Dataset:
    """Return the data without the rows of the faults, with the number of rows of each fault.

    If two faults cover a row, it counts for the first one.
    """
    readings = dataset.readings
    position = {sensor_id: number for number, sensor_id in enumerate(readings.sensor_ids)}
    is_kept = np.ones(len(readings), dtype=np.bool_)
    counts = {}
    for fault in faults:
        if fault.sensor_id not in position:
            continue
        is_covered = is_kept & (readings.sensor == position[fault.sensor_id])
        is_covered &= readings.event_time >= fault.begin
        if fault.end is not None:
            is_covered &= readings.event_time <= fault.end
        if is_covered.any():
            counts[fault.episode_id] = int(is_covered.sum())
            is_kept &= ~is_covered
    if not counts:
        return dataset
    return replace(dataset, readings=readings.take(is_kept), left_out=counts)


def left_out_text(left_out: Mapping[str, int]) -> str:
    """Return the number of rows that were left out, with the reason."""
    return f"{sum(left_out.values())} rows of {len(left_out)} episodes with the verdict true"


def _true_fault(record: VerdictRecord, book: EpisodeBook) -> TrueFault:
    end = None if record.end is None else event_instant(record.end)
    state = book.get(record.episode_id)
    if state is not None:
        end = state.end
    begin = to_microseconds(event_instant(record.begin))
    return TrueFault(
        record.episode_id, record.sensor_id, begin, None if end is None else to_microseconds(end)
    )
