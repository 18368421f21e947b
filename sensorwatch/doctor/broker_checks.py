"""Checks of the broker: connection, topics, consumer group, rows and clock."""

import time
from collections.abc import Iterator, Mapping

from confluent_kafka import TIMESTAMP_LOG_APPEND_TIME

from sensorwatch.commands.latest_records import read_latest_records
from sensorwatch.commands.recent_records import recent_records
from sensorwatch.commands.topics_command import all_topic_names
from sensorwatch.common.kafka.committed_accounts import committed_accounts
from sensorwatch.common.kafka.scores_check import check_scores_topic
from sensorwatch.common.kafka.state_check import check_state_topics
from sensorwatch.common.kafka.topic_reader import watermarks
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.doctor.finding import Finding, failed, ok, warning

MAX_AHEAD_SECONDS = 5.0
"""A record that is newer than this computer's clock by more than this time shows a wrong clock."""


def check_topics(settings: Settings, partition_counts: Mapping[str, int]) -> Iterator[Finding]:
    """Check that the topics exist and permit a restore. Raises the errors of the second check.

    `partition_counts`: the number of partitions of each topic that the broker has.
    """
    missing_names = missing_topics(settings, partition_counts)
    if missing_names:
        yield failed(
            "topics",
            f"missing: {', '.join(missing_names)}",
            "`sensorwatch topics create`, or correct [topics]",
        )
        return
    names = all_topic_names(settings)
    counts = ", ".join(f"{name} ({partition_counts[name]})" for name in names)
    yield ok("topics", f"all exist, with their number of partitions: {counts}")
    warnings: list[str] = []
    check_state_topics(
        settings.kafka,
        readings_topic=settings.topics.readings,
        state_topic=settings.state_topic,
        snapshot_every_seconds=settings.consumer.snapshot_every_seconds,
        warn=warnings.append,
    )
    if settings.consumer.scores:
        check_scores_topic(settings.kafka, settings.scores_topic, warn=warnings.append)
    for text in warnings:
        yield warning("topics", text)


def missing_topics(settings: Settings, partition_counts: Mapping[str, int]) -> list[str]:
    """Return the names of the topics of the settings that the broker does not have."""
    return [name for name in all_topic_names(settings) if name not in partition_counts]


def check_group(settings: Settings) -> Iterator[Finding]:
    """Check the committed offsets of the consumer group."""
    topic, group = settings.topics.readings, settings.consumer.group
    accounts = committed_accounts(settings.kafka, topic, group=group)
    ranges = watermarks(settings.kafka, topic)
    if not accounts:
        yield ok("group", f'"{group}" has not committed yet; {_records(ranges)} records wait')
        return
    offsets = {partition.number: account.offset for partition, account in accounts.items()}
    lost = sorted(n for n, offset in offsets.items() if offset < ranges.get(n, (0, 0))[0])
    if lost:
        yield failed(
            "group",
            f'the committed offsets of "{group}" in the partitions {lost} are below the first '
            "record that the topic still has",
            "see docs/exit-codes.md, code 7",
        )
        return
    if any(account.is_outdated for account in accounts.values()):
        yield warning("group", f'an older sensorwatch committed the accounts of "{group}"')
    lag = sum(max(0, end - offsets.get(number, 0)) for number, (_, end) in ranges.items())
    yield ok("group", f'"{group}" has committed {len(offsets)} partitions; {lag} records wait')


def check_rows(settings: Settings, *, rows: int) -> Iterator[Finding]:
    """Check the latest records against the schema, as `topics check` does."""
    path = schema_file(settings)
    if not path.exists():
        return
    report = read_latest_records(settings, load_schema(path), rows=rows).report
    topic = settings.topics.readings
    if report.rows == 0:
        yield warning("rows", f'"{topic}" has no row', "start the producer")
    elif report.rejected == 0:
        yield ok("rows", f'the latest {report.rows} records of "{topic}" are valid')
    else:
        text = f'{report.rejected} of the latest {report.rows} records of "{topic}" are rejected'
        reasons = " ".join(line.strip() for line in list(report.lines())[1:3])
        is_complete = report.rejected == report.rows
        yield (failed if is_complete else warning)(
            "rows", f"{text}: {reasons}", "`sensorwatch topics check`, `sensorwatch dlq list`"
        )


def check_clock(settings: Settings, *, now: float | None = None) -> Iterator[Finding]:
    """Compare this computer's clock with the timestamps of the newest records.

    `now`: seconds since 1970 UTC; None means the time of this computer.
    """
    for topic in (settings.topics.readings, settings.ledger_topic):
        newest = max(
            (record.timestamp() for record in recent_records(settings.kafka, topic, rows=1)),
            key=lambda timestamp: timestamp[1],
            default=(0, 0),
        )
        kind, milliseconds = newest
        if kind == 0:
            continue
        clock = "the broker's clock" if kind == TIMESTAMP_LOG_APPEND_TIME else "its writer's clock"
        age = (time.time() if now is None else now) - milliseconds / 1000
        if age < -MAX_AHEAD_SECONDS:
            yield warning(
                "clock",
                f'the newest record of "{topic}" is {-age:.0f} s in the future, by {clock}',
                "synchronize the clocks of all computers (NTP)",
            )
        else:
            yield ok(
                "clock", f'the newest record of "{topic}" is {max(age, 0):.0f} s old by {clock}'
            )


def _records(ranges: dict[int, tuple[int, int]]) -> int:
    return sum(end - first for first, end in ranges.values())
