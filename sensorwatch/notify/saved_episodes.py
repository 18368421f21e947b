"""The notifier's compacted topic: the episodes that were sent, and what each target knows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import msgspec
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.excursion import NO_EXCURSION
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.kafka.topics import compacted_topic_plan, ensure_topic
from sensorwatch.common.runtime.logs import kafka_logger
from sensorwatch.notify.incident_book import Notice, TrackedEpisode

FLUSH_SECONDS = 5.0
"""Longest wait until the broker has stored the records."""


class _SavedEpisode(msgspec.Struct, frozen=True):
    state: EpisodeState
    received_at: datetime
    notices: dict[str, Notice]


_DECODER = msgspec.json.Decoder(_SavedEpisode)


def encode_episode(episode: TrackedEpisode) -> bytes:
    """Return the value of an episode's record, without steps, signals and excursion."""
    state = replace(episode.state, steps=(), signals=(), excursion=NO_EXCURSION)
    return msgspec.json.encode(_SavedEpisode(state, episode.received_at, episode.notices))


def decode_episode(value: bytes) -> TrackedEpisode | None:
    """Return the episode in a record; None if no notifier wrote the record."""
    try:
        saved = _DECODER.decode(value)
    except (ValueError, RecursionError):
        return None
    times = (saved.state.begin, saved.state.last, saved.received_at, saved.state.end)
    if any(time is not None and time.tzinfo is None for time in times):
        return None
    return TrackedEpisode(saved.state, saved.received_at, saved.notices)


@dataclass(slots=True)
class _UnsavedRecord:
    value: bytes | None
    is_queued: bool = False
    """Whether the Kafka client has the record, and has not yet reported whether it is stored."""


class SavedEpisodes:
    """Reads and writes the compacted topic; keeps the records that the broker has not stored."""

    def __init__(self, kafka: Mapping[str, Any], topic: str) -> None:
        """Create the topic if it does not exist.

        Raises BrokerUnavailable if no broker answers, and UsageError if it refuses the topic.
        """
        self._kafka, self._topic = kafka, topic
        self._producer = Producer(producer_config(kafka), logger=kafka_logger())
        self._unsaved: dict[str, _UnsavedRecord] = {}
        ensure_topic(kafka, compacted_topic_plan(topic), self._producer)

    def load(self) -> list[TrackedEpisode]:
        """Return the newest record of each episode. Records of other programs are ignored."""
        values: dict[bytes, bytes | None] = {}
        for message in read_topic(self._kafka, self._topic):
            values[message.key() or b""] = message.value()
        episodes = (decode_episode(value) for value in values.values() if value)
        return [episode for episode in episodes if episode is not None]

    def save(self, records: Mapping[str, TrackedEpisode | None]) -> bool:
        """Write episodes by id, and delete those with the value None.

        Return whether the broker has stored all records. The others are written at the next call.
        """
        for episode_id, episode in records.items():
            value = None if episode is None else encode_episode(episode)
            self._unsaved[episode_id] = _UnsavedRecord(value)
        self._producer.poll(0)
        for episode_id, record in list(self._unsaved.items()):
            if not record.is_queued and not self._queue(episode_id, record):
                break
        if self._unsaved:
            self._producer.flush(FLUSH_SECONDS)
        return not self._unsaved

    def close(self) -> None:
        """Close the client."""
        self._producer.close()

    def _queue(self, episode_id: str, record: _UnsavedRecord) -> bool:
        def on_delivery(error: KafkaError | None, _message: Message) -> None:
            record.is_queued = False
            if error is None and self._unsaved.get(episode_id) is record:
                del self._unsaved[episode_id]

        try:
            self._producer.produce(
                self._topic, record.value, episode_id.encode(), on_delivery=on_delivery
            )
        except (BufferError, KafkaException):
            return False
        record.is_queued = True
        return True
