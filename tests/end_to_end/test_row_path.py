"""Tests of all commands with a stream that two model versions score in turn."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from sensorwatch.common.kafka.records import header_value
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.end_to_end.command_session import CommandSession
from tests.reading_builders import DEFAULT_SCHEMA

pytestmark = [pytest.mark.broker, pytest.mark.slow]

ROWS_PER_VERSION = 6_000
"""Each champion scores this number of rows before the next version becomes the champion."""
FAULT_OPTIONS = "rate=0.01,kinds=spike+malformed,size=10"
TRAINING_OPTIONS = "--out sample.csv --rows 8000"
STREAM_OPTIONS = f"--rows {ROWS_PER_VERSION} --rate max --interval 300 --faults {FAULT_OPTIONS}"


@dataclass(frozen=True, slots=True)
class ScoredStream:
    """The versions and events of a scored stream."""

    session: CommandSession
    first_version: str
    second_version: str
    champions: tuple[str, str, str]
    """The version that is the champion during each third of the stream."""
    events: list[dict[str, Any]]
    episode_end_events: list[dict[str, Any]]
    episode_notices: list[dict[str, Any]]
    exit_code: int


@pytest.fixture(scope="module")
def scored_stream(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoredStream]:
    """Score a stream; the champion is the first version, then the second, then the first again."""
    session = CommandSession(kafka, tmp_path_factory.mktemp("day"), schema=DEFAULT_SCHEMA)
    try:
        session.run_command("topics create --partitions 2")
        session.run_command(f"produce {TRAINING_OPTIONS}")
        first_version = _train_version(session, "--seed 1")
        second_version = _train_version(session, "--seed 2")
        session.run_command(f"evaluate --data sample.csv --model {second_version} --gate")
        session.start_service("consume")
        session.start_service("serve")
        for third_number, model_command in enumerate(
            ("", f"promote {second_version}", "rollback --reason test"), 1
        ):
            if model_command:
                session.run_command(f"models {model_command}")
                _wait_for_model(session, second_version if third_number == 2 else first_version)
            session.run_command(f"produce {STREAM_OPTIONS} --seed {third_number}")
            session.wait_until_consumed(third_number * ROWS_PER_VERSION)
        code = session.stop_service("consume")
        events, episode_end_events = session.events(), session.episode_end_events()
        yield ScoredStream(
            session,
            first_version,
            second_version,
            (first_version, second_version, first_version),
            events,
            episode_end_events,
            session.episode_notices(),
            code,
        )
    finally:
        session.close()


def _train_version(session: CommandSession, options: str) -> str:
    """Train a version and return the printed id."""
    match = re.search(
        r"^version +(\S+)$",
        session.run_command(f"train --data sample.csv {options}").out,
        re.MULTILINE,
    )
    assert match is not None
    return match[1]


def _wait_for_model(session: CommandSession, version: str) -> None:
    """Wait until the metrics of consumer and API name `version` as the loaded version."""
    for service in ("consume", "serve"):
        wait_until(
            lambda service=service: f'version="{version}"' in session.fetch(service, "/metrics"),  # type: ignore[misc] # a default binds the value
            deadline=20,
            what=f"{service} to follow the champion to {version}",
            every=0.1,
        )


def test_the_consumer_exits_with_0(scored_stream: ScoredStream) -> None:
    assert scored_stream.exit_code == 0


def test_the_ledger_counts_equal_the_records_events_and_dead_letters(
    scored_stream: ScoredStream,
) -> None:
    partitions = scored_stream.session.run_json_command("ledger show --json")
    total_counts = Counter[str]()
    for partition in partitions:
        for outcome in ("consumed", "normal", "anomalies", "dead_letters"):
            total_counts[outcome] += partition[outcome]
    assert total_counts["consumed"] == 3 * ROWS_PER_VERSION
    assert total_counts["anomalies"] == len(scored_stream.events)
    assert total_counts["dead_letters"] == len(
        scored_stream.session.committed_records(scored_stream.session.dead_letters)
    )
    assert min(total_counts.values()) > 0, "the stream must have rows of every outcome"
    assert (
        total_counts["normal"]
        == 3 * ROWS_PER_VERSION - total_counts["anomalies"] - total_counts["dead_letters"]
    )


def test_the_ledger_proves_every_record_with_the_version_that_scored_it(
    scored_stream: ScoredStream,
) -> None:
    findings = scored_stream.session.run_json_command("ledger verify --json")
    assert {finding["verdict"] for finding in findings} == {"proven"}
    assert sum(finding["records"] for finding in findings) == 3 * ROWS_PER_VERSION
    assert {finding["model_version"] for finding in findings} == {
        scored_stream.first_version,
        scored_stream.second_version,
    }


def test_events_name_the_versions_in_the_order_of_their_promotion(
    scored_stream: ScoredStream,
) -> None:
    events_by_partition: dict[int, list[tuple[int, str]]] = {}
    for event in scored_stream.events:
        source = event["source"]
        events = events_by_partition.setdefault(source["partition"], [])
        events.append((source["offset"], event["model_version"]))
    assert set(events_by_partition) == {0, 1}
    for events in events_by_partition.values():
        assert events == sorted(events)
        versions = [version for _, version in events]
        version_changes = [
            version for n, version in enumerate(versions) if versions[n - 1 : n] != [version]
        ]
        assert tuple(version_changes) == scored_stream.champions


def test_no_event_is_published_twice(scored_stream: ScoredStream) -> None:
    event_ids = [
        event["event_id"] for event in (*scored_stream.events, *scored_stream.episode_end_events)
    ]
    assert len(set(event_ids)) == len(event_ids)


def test_a_closing_event_counts_the_rows_that_have_events(scored_stream: ScoredStream) -> None:
    row_counts = Counter(event["episode"]["id"] for event in scored_stream.events)
    assert scored_stream.episode_end_events
    assert {
        end_event["episode_id"]: end_event["rows"] for end_event in scored_stream.episode_end_events
    }.items() <= row_counts.items()


def test_tail_prints_every_event_unchanged_as_json(scored_stream: ScoredStream) -> None:
    events = [
        *scored_stream.events,
        *scored_stream.episode_end_events,
        *scored_stream.episode_notices,
    ]
    command = f"tail --json --from-beginning --max {len(events)}"
    printed_events = {
        event["event_id"]: event for event in scored_stream.session.run_json_command(command)
    }
    assert printed_events == {event["event_id"]: event for event in events}


def test_more_than_90_percent_of_the_spikes_are_detected(scored_stream: ScoredStream) -> None:
    """The fault labels are in the headers of the readings, never in the values."""
    spike_ids = {
        f"{message.topic()}-{message.partition()}-{message.offset()}"
        for message in scored_stream.session.committed_records(scored_stream.session.readings)
        if dict(message.headers() or []).get("sensorwatch-label") == b"spike"
    }
    assert len(spike_ids) > 50
    detected_ids = spike_ids & {event["event_id"] for event in scored_stream.events}
    assert len(detected_ids) / len(spike_ids) > 0.9


def test_the_api_returns_the_score_of_the_event_for_its_row(scored_stream: ScoredStream) -> None:
    """Both scores are bit-identical, because the request contains the partition's earlier rows."""
    first_version_events = [
        event
        for event in scored_stream.events
        if event["model_version"] == scored_stream.first_version
    ]
    event = next(
        event for event in first_version_events if event["source"]["offset"] > ROWS_PER_VERSION // 8
    )
    source = event["source"]
    rejected_ids = {
        (header_value(message, "__dlq.id") or b"").decode()
        for message in scored_stream.session.committed_records(scored_stream.session.dead_letters)
    }
    rows = [
        json.loads(message.value() or b"")
        for message in scored_stream.session.committed_records(source["topic"])
        if message.partition() == source["partition"]
        and (message.offset() or 0) <= source["offset"]
        and f"{source['topic']}-{source['partition']}-{message.offset()}" not in rejected_ids
    ]
    body = {"history": rows[:-1], "rows": rows[-1:]}
    response = json.loads(scored_stream.session.fetch("serve", "/predict", body))
    assert response["model_version"] == scored_stream.first_version
    (scored_row,) = response["rows"]
    for name in ("status", "anomaly_score", "raw_score", "p_value", "severity", "signals"):
        assert scored_row[name] == event[name]


def test_the_audit_log_has_every_action_and_an_intact_chain(scored_stream: ScoredStream) -> None:
    result = scored_stream.session.run_command("models audit")
    actions = [line.split("\t")[3] for line in result.out.splitlines()[1:]]
    assert actions == ["register", "promote", "register", "evaluate", "promote", "rollback"]
    assert "the chain is intact" in result.err


def test_a_version_without_a_passing_report_is_not_promoted(scored_stream: ScoredStream) -> None:
    result = scored_stream.session.run_command(
        f"models promote {scored_stream.first_version}", code=1
    )
    assert "report" in result.err
    assert result.err.count("\n") == 1, "the error must be one line"
