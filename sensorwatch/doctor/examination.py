"""Runs all checks in order, and turns every error of a check into a finding."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from confluent_kafka import KafkaException

from sensorwatch.common.errors import BrokerUnavailable, SensorwatchError
from sensorwatch.common.kafka.topics import topic_partition_counts
from sensorwatch.common.runtime.settings import Settings, load_settings
from sensorwatch.doctor.broker_checks import (
    check_clock,
    check_group,
    check_rows,
    check_topics,
    missing_topics,
)
from sensorwatch.doctor.finding import Finding, failed, ok, skipped
from sensorwatch.doctor.local_checks import (
    check_configuration,
    check_disk,
    check_kernels,
    check_schema,
    check_versions,
)
from sensorwatch.doctor.registry_checks import check_registry
from sensorwatch.doctor.rights_check import check_rights

CONNECT_SECONDS = 10.0
"""Longest wait for the first answer of the broker."""
Check = Callable[[], Iterable[Finding]]


def examine(config: Path | None, *, rows: int) -> Iterator[Finding]:
    """Yield the findings of all checks.

    `rows`: number of the latest records that are checked against the schema. Without a valid
    configuration, or without a broker, the checks that need it are skipped.
    """
    yield from _run("versions", check_versions)
    yield from _run("kernels", check_kernels)
    try:
        loaded = load_settings(config)
    except SensorwatchError as error:
        yield failed("configuration", str(error))
        yield skipped("all other checks", "they need a valid configuration")
        return
    settings = loaded.settings
    yield from _run("configuration", lambda: check_configuration(loaded))
    yield from _run("schema", lambda: check_schema(settings))
    yield from _run("registry", lambda: check_registry(settings))
    yield from _run("disk", lambda: check_disk(settings))
    yield from _broker_findings(settings, rows=rows)


def _broker_findings(settings: Settings, *, rows: int) -> Iterator[Finding]:
    checks: dict[str, Check] = {
        "rights": lambda: check_rights(settings),
        "group": lambda: check_group(settings),
        "rows": lambda: check_rows(settings, rows=rows),
        "clock": lambda: check_clock(settings),
    }
    try:
        topics = topic_partition_counts(settings.kafka, timeout=CONNECT_SECONDS)
    except BrokerUnavailable as error:
        yield failed("broker", str(error))
        yield skipped(", ".join(["topics", *checks]), "they need a broker")
        return
    address = settings.kafka.get("bootstrap.servers")
    yield ok("broker", f"{address} answers, and has {len(topics)} topics that this client may see")
    yield from _run("topics", lambda: check_topics(settings, topics))
    if missing_topics(settings, topics):
        yield skipped(", ".join(checks), "they need all topics")
        return
    for name, check in checks.items():
        yield from _run(name, check)


def _run(name: str, check: Check) -> Iterator[Finding]:
    """Yield the findings of a check, and its error as a failed finding."""
    try:
        yield from check()
    except SensorwatchError as error:
        yield failed(name, str(error))
    except KafkaException as error:
        yield failed(name, str(error.args[0].str()))
    except OSError as error:
        yield failed(name, str(error))
