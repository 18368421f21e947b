"""The compacted topic that records which dead letters were replayed."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.dlq.letters import DeadLetter, bytes_text


class ReplayEntry(msgspec.Struct, frozen=True):
    """The value of a record in the replay log; its key is the position of the dead letter."""

    id: str
    """The id of the dead letter. It differs if the dead-letter topic was created again."""
    attempt: int
    """The number of this replay: 1 for the first."""
    replayed_at: datetime


_DECODER = msgspec.json.Decoder(ReplayEntry)


def replay_log_topic(dead_letters: str) -> str:
    """Return the name of the replay log of a dead-letter topic."""
    return f"{dead_letters}.replays"


def entry_message(topic: str, letter: DeadLetter, *, now: datetime) -> OutgoingMessage:
    """Return the message that marks a dead letter as replayed."""
    entry = ReplayEntry(letter.id, letter.attempts + 1, now)
    return OutgoingMessage(topic, letter.position.encode(), msgspec.json.encode(entry), [], 0)


class ReplayLog:
    """The replayed dead letters, by position."""

    def __init__(self, entries: Mapping[str, ReplayEntry]) -> None:
        self._entries = entries

    def entry(self, letter: DeadLetter) -> ReplayEntry | None:
        """Return the entry of a dead letter; None if it was not replayed."""
        entry = self._entries.get(letter.position)
        return entry if entry is not None and entry.id == letter.id else None

    def deletions(self, topic: str, first_offsets: Mapping[int, int]) -> Iterator[OutgoingMessage]:
        """Yield messages that delete the entries of dead letters that no longer exist.

        `first_offsets`: the first offset that each partition of the dead-letter topic still has.
        """
        for position in self._entries:
            partition, _, offset = position.partition(":")
            if int(offset) < first_offsets.get(int(partition), 0):
                yield OutgoingMessage(topic, position.encode(), None, [], 0)


def read_replay_log(kafka: Mapping[str, Any], topic: str) -> ReplayLog:
    """Return the committed entries of a replay log.

    If a transaction is open, the function waits until it ends. Records of other programs are
    ignored. Raises BrokerUnavailable if the topic cannot be read.
    """
    entries: dict[str, ReplayEntry] = {}
    for message in read_topic(kafka, topic):
        position, value = bytes_text(message.key() or b""), message.value()
        if value is None:
            entries.pop(position, None)
        elif _is_position(position):
            try:
                entries[position] = _DECODER.decode(value)
            except (ValueError, RecursionError):
                continue
    return ReplayLog(entries)


def _is_position(text: str) -> bool:
    partition, _, offset = text.partition(":")
    return text.isascii() and partition.isdigit() and offset.isdigit()
