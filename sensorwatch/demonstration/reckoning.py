"""The demonstration's last act: let the consumer finish, then count from every side."""

import time
from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.embedded import PARTITIONS
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.ledger.account import Account
from sensorwatch.demonstration.accounting import Counts
from sensorwatch.demonstration.stage import Stage
from sensorwatch.demonstration.watching import Watching
from sensorwatch.producer.sink import DeliveryCounts

DRAIN_SECONDS = 30.0
READ_SECONDS = 10.0
_CALL_SECONDS = 10.0


def reckon(stage: Stage, tally: DeliveryCounts, watching: Watching) -> Counts:
    """Wait for the consumer to come to the end, stop it, and count; call once the feeding stopped.

    Whoever does not come to the end in time is counted as it stands: the accounts will differ.
    """
    settings = stage.settings
    asking = Consumer(
        reader_config(settings.kafka, group=settings.consumer.group), logger=quiet_logger()
    )
    topic = settings.topics.readings
    try:
        ends = _ends(asking, topic)
        _until(lambda: _reached(_committed(asking, topic), ends), DRAIN_SECONDS, stage)
        stage.consumer.stop()
        committed = _committed(asking, topic)
    except KafkaException as error:
        raise BrokerUnavailable(f"the accounts cannot be read: {error.args[0].str()}") from error
    finally:
        asking.close()
    # Whoever else writes to the topic may go on; what was committed beyond the end is in as well.
    records_in = sum(max(pair) for pair in zip(ends, _next_offsets(committed), strict=True))
    accounts = _accounts(committed)
    events = sum(account.anomalies for account in accounts)
    letters = sum(account.dead_letters for account in accounts)
    _until(lambda: watching.has(rows=records_in, events=events, letters=letters), READ_SECONDS)
    watching.stop()
    watching.check()
    return Counts(
        delivered=tally.delivered,
        failed=tally.failed,
        records_in=records_in,
        accounts=accounts,
        events=len(watching.truth.events),
        dead_letters=len(watching.truth.letters),
        repeated=watching.repeated,
    )


def _until(condition: Callable[[], bool], seconds: float, stage: Stage | None = None) -> None:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        if stage is not None:
            stage.consumer.check()
        time.sleep(0.1)


def _ends(asking: Consumer, topic: str) -> list[int]:
    """Return the end offset of each partition: the number of records ever written to it."""
    return [
        asking.get_watermark_offsets(TopicPartition(topic, number), _CALL_SECONDS)[1]
        for number in range(PARTITIONS)
    ]


def _committed(asking: Consumer, topic: str) -> list[TopicPartition]:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    committed: list[TopicPartition] = asking.committed(partitions, _CALL_SECONDS)
    return committed


def _reached(committed: list[TopicPartition], ends: list[int]) -> bool:
    return all(at >= end for at, end in zip(_next_offsets(committed), ends, strict=True))


def _next_offsets(committed: list[TopicPartition]) -> list[int]:
    return [max(0, where.offset) for where in committed]


def _accounts(committed: list[TopicPartition]) -> list[Account]:
    found = (from_metadata(where.metadata, where.offset) for where in committed)
    return [account for account in found if account is not None]
