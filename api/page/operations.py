"""What is known about the worker, the models and the refused records, for the page."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.kafka.committed_accounts import CommittedAccount, committed_accounts
from sensorwatch.common.kafka.dead_letters import (
    CODE_HEADER,
    FIRST_FAILED_AT_HEADER,
    ID_HEADER,
    MESSAGE_HEADER,
)
from sensorwatch.common.kafka.records import Partition, Record, headers_of, last_header_value
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.topic_reader import read_topic, watermarks
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.setting_keys import Settings

MAX_REFUSED_RECORDS = 200
"""The page reads at most this number of refused records of each partition, the newest ones."""
MAX_VERSIONS = 20
CONNECT_SECONDS = 5.0
"""Longest wait for the first answer of the broker."""
_RETRY = RetryPolicy(2.0)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the consumer group has read the input."""

    committed: int
    """Sum of the committed offsets of all partitions."""
    lag: int
    """Number of offsets of the input that are not committed yet."""
    adds_up: bool | None
    """Whether every account adds up; None if there is no account."""
    measured_at: float
    """Seconds on a monotonic clock."""
    records_per_second: float | None = None
    """None until there are two measurements."""


@dataclass(frozen=True, slots=True)
class RefusedRecord:
    """A record of the dead-letter topic."""

    id: str
    reason: str
    message: str
    failed_at: str


@dataclass(frozen=True, slots=True)
class RefusedReason:
    """The refused records with one reason."""

    reason: str
    count: int
    newest: RefusedRecord


@dataclass(frozen=True, slots=True)
class ModelLine:
    """A model version as a line of a table."""

    id: str
    created: datetime
    aliases: tuple[str, ...]
    blind_signals: tuple[str, ...]


def read_progress(
    settings: Settings,
    previous: Progress | None,
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Progress:
    """Return the progress of the consumer group; raises BrokerUnavailable."""
    accounts = committed_accounts(
        settings.kafka,
        settings.topics.readings,
        group=settings.consumer.group,
        timeout=CONNECT_SECONDS,
    )
    ends = {
        number: end
        for number, (_, end) in watermarks(
            settings.kafka, settings.topics.readings, retry=_RETRY
        ).items()
    }
    return progress_of(accounts, ends, previous, now=clock())


def progress_of(
    accounts: Mapping[Partition, CommittedAccount],
    ends: Mapping[int, int],
    previous: Progress | None,
    *,
    now: float,
) -> Progress:
    """Return the progress from committed accounts and the end offset of each partition."""
    offsets = {partition.number: account.offset for partition, account in accounts.items()}
    known_accounts = [entry.account for entry in accounts.values() if entry.account is not None]
    committed = sum(offsets.values())
    rate = None
    if previous is not None and now > previous.measured_at and committed >= previous.committed:
        rate = (committed - previous.committed) / (now - previous.measured_at)
    return Progress(
        committed=committed,
        lag=sum(max(end - offsets.get(number, 0), 0) for number, end in ends.items()),
        adds_up=all(account.adds_up for account in known_accounts) if known_accounts else None,
        measured_at=now,
        records_per_second=rate,
    )


def read_refused(kafka: Mapping[str, Any], topic: str) -> list[RefusedReason]:
    """Return the newest refused records by reason; raises BrokerUnavailable."""
    begin = {
        number: max(first, end - MAX_REFUSED_RECORDS)
        for number, (first, end) in watermarks(kafka, topic, retry=_RETRY).items()
    }
    records = read_topic(kafka, topic, begin=begin, stall_seconds=5, retry=_RETRY)
    return refused_by_reason(refused_record(record) for record in records)


def refused_record(record: Record) -> RefusedRecord:
    """Return what the headers of a dead letter say."""
    headers = headers_of(record) or []
    reason, message, record_id, failed_at = (
        (last_header_value(headers, name) or b"").decode(errors="replace")
        for name in (CODE_HEADER, MESSAGE_HEADER, ID_HEADER, FIRST_FAILED_AT_HEADER)
    )
    return RefusedRecord(record_id, reason or "unknown", message, failed_at)


def refused_by_reason(records: Iterable[RefusedRecord]) -> list[RefusedReason]:
    """Return the number of records and the newest record of each reason, most frequent first."""
    by_reason: dict[str, list[RefusedRecord]] = {}
    for record in records:
        by_reason.setdefault(record.reason, []).append(record)
    reasons = [
        RefusedReason(reason, len(group), max(group, key=lambda record: record.failed_at))
        for reason, group in by_reason.items()
    ]
    return sorted(reasons, key=lambda reason: (-reason.count, reason.reason))


def model_lines(registry: Registry, name: str) -> list[ModelLine]:
    """Return the newest versions of a model, newest first; raises ModelRefused."""
    aliases = registry.aliases(name)
    lines = []
    for version in reversed(registry.version_ids(name)[-MAX_VERSIONS:]):
        try:
            manifest = registry.manifest(name, version)
        except ModelRefused:
            continue
        lines.append(
            ModelLine(
                version,
                manifest.created.astimezone(UTC),
                tuple(alias for alias, target in aliases.items() if target == version),
                tuple(manifest.blind_signals),
            )
        )
    return lines
