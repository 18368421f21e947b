"""A follower starts with the oldest record, with the next one, or with the first one of a time."""

import pytest
from confluent_kafka import Producer

from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_follower import StartAt, follow_topics
from tests.brokers.kafka import Kafka

RECORDS = 6
FIRST_TIMESTAMP = 1_700_000_000_000


@pytest.mark.broker
@pytest.mark.parametrize(
    ("begin", "first_value"),
    [
        (StartAt.BEGINNING, 0),
        (FIRST_TIMESTAMP + 2_500, 3),
        (FIRST_TIMESTAMP + 60_000, RECORDS),
        (StartAt.NOW, RECORDS),
    ],
)
def test_a_follower_starts_with_the_first_wanted_record(
    kafka: Kafka, begin: StartAt | int, first_value: int
) -> None:
    topic = f"followed-{begin}"
    kafka.create_topic(topic, 1)
    settings = {"bootstrap.servers": kafka.address}
    producer = Producer(settings, logger=silent_logger())
    for number in range(RECORDS):
        producer.produce(topic, b"%d" % number, timestamp=FIRST_TIMESTAMP + 1_000 * number)
    assert producer.flush(20) == 0

    values = []
    for batch in follow_topics(settings, [topic], begin=begin, logger=silent_logger()):
        values += [int(message.value() or b"-1") for message in batch]
        if values[-1:] == [RECORDS]:
            break
        if not batch:
            # The follower has started, and has read all older records.
            producer.produce(topic, b"%d" % RECORDS, timestamp=FIRST_TIMESTAMP + 1_000 * RECORDS)
            assert producer.flush(20) == 0

    assert list(dict.fromkeys(values)) == list(range(first_value, RECORDS + 1))
