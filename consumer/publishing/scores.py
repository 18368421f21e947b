"""Builds the score records of a micro-batch."""

from collections.abc import Iterator

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.score_records import (
    MAX_RECORD_BYTES,
    ScoreRecord,
    score_messages,
)
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.score_aggregation import aggregate_scores


def score_records(
    outcome: Outcome,
    detector: Detector,
    partition: Partition,
    *,
    topic: str,
    group: str,
    max_message_bytes: int,
) -> Iterator[OutgoingMessage]:
    """Yield the score records of a partition's records; none if no row was scored.

    `max_message_bytes`: the largest message that the producer accepts, of which a tenth is left for
    the key and for Kafka's own fields.
    """
    record = ScoreRecord(group, partition, detector.version, aggregate_scores(detector, outcome))
    max_bytes = min(MAX_RECORD_BYTES, max_message_bytes * 9 // 10)
    yield from score_messages(record, topic, max_bytes=max_bytes)
