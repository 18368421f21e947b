"""Scores recent input of a topic, or a file, with several detectors."""

import time
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
from confluent_kafka import Consumer, KafkaException

from sensorwatch.common.errors import BrokerUnavailable, UsageError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.records import Record, coordinates, received_at
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.kafka.topic_reader import (
    SHORT_RETRY,
    offset_at,
    read_topic_batches,
    watermarks,
)
from sensorwatch.common.rows.batches import first_day
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import process, score_readings
from sensorwatch.policy_trial.trial import EpisodeCounter


def first_day_of_file(path: Path, schema: Schema) -> date | None:
    """Return the day (UTC) of the first row of a file; None without a row."""
    return first_day(read_batches(path, schema, as_of=time.time_ns() // 1_000))[0]


def try_file(path: Path, counters: Sequence[EpisodeCounter]) -> None:
    """Score the rows of a file with the detector of each counter; begin with an empty memory."""
    schema = counters[0].detector.schema
    memories = [counter.empty_memory() for counter in counters]
    for readings, rejections in read_batches(path, schema, as_of=time.time_ns() // 1_000):
        for counter, memory in zip(counters, memories, strict=True):
            counter.add(0, score_readings(readings, rejections, counter.detector, memory))
    if counters[0].rows == 0:
        raise UsageError(f"{path} has no row of the schema {schema.name}, wanted at least one")


def try_topic(settings: Settings, since: int, counters: Sequence[EpisodeCounter]) -> None:
    """Score the records of the input topic since a time; begin with empty memories.

    `since`: microseconds UTC, compared with the records' timestamps. Raises UsageError if there are
    no rows, and BrokerUnavailable if the topic cannot be read.
    """
    topic = settings.topics.readings
    memories: dict[int, list[Memory]] = {}
    begin = _offsets_at(settings, topic, since // 1_000)
    for batch in read_topic_batches(settings.kafka, topic, begin=begin):
        by_partition: dict[int, list[Record]] = {}
        for record in batch:
            by_partition.setdefault(coordinates(record).partition, []).append(record)
        for partition, records in by_partition.items():
            if partition not in memories:
                memories[partition] = [counter.empty_memory() for counter in counters]
            for counter, memory in zip(counters, memories[partition], strict=True):
                _score(partition, records, counter, memory)
    if counters[0].rows == 0:
        raise UsageError(
            f'"{topic}" has no row since this time: give an earlier --since, or --data'
        )


def _score(
    partition: int, records: Sequence[Record], counter: EpisodeCounter, memory: Memory
) -> None:
    outcome = process(
        [record.value() for record in records],
        counter.detector,
        memory,
        positions=np.asarray([coordinates(r).offset for r in records], dtype=np.int64),
        received=[received_at(record) for record in records],
        sources=sources_of_records(records, counter.detector.schema),
    )
    counter.add(partition, outcome)


def _offsets_at(settings: Settings, topic: str, milliseconds: int) -> dict[int, int]:
    """Return the first offset of each partition at or after a time.

    A partition without such a record is left out.
    """
    numbers = watermarks(settings.kafka, topic)
    consumer = Consumer(
        reader_config(settings.kafka, group=f"{settings.consumer.group}.reader"),
        logger=silent_logger(),
    )
    try:
        offsets = {
            number: offset_at(consumer, topic, number, milliseconds, retry=SHORT_RETRY)
            for number in numbers
        }
    except KafkaException as error:
        raise BrokerUnavailable(
            f'the offsets of "{topic}" cannot be read: {error.args[0].str()}; check that the '
            "broker is up"
        ) from error
    finally:
        consumer.close()
    return {number: offset for number, offset in offsets.items() if offset is not None}
