"""The whole way of a row: every command once, with two models under way."""

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
"""Rows sent while one model is in force."""
FAULTS = "rate=0.01,kinds=spike+malformed,size=10"
TRAINING = "--out sample.csv --rows 8000"
STREAM = f"--rows {ROWS_PER_VERSION} --rate max --interval 300 --faults {FAULTS}"


@dataclass(frozen=True, slots=True)
class ScoredStream:
    """What somebody has after a day with it."""

    session: CommandSession
    first: str
    second: str
    versions: tuple[str, str, str]
    """The versions that were in force while the parts were scored."""
    events: list[dict[str, Any]]
    episode_end_events: list[dict[str, Any]]
    exit_code: int


@pytest.fixture(scope="module")
def scored_stream(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ScoredStream]:
    """Topics, a file, two versions; a stream scored by the first, the second, the first again."""
    session = CommandSession(kafka, tmp_path_factory.mktemp("day"), schema=DEFAULT_SCHEMA)
    try:
        session.run_command("topics create --partitions 2")
        session.run_command(f"produce {TRAINING}")
        first = _trained(session, "--seed 1")
        second = _trained(session, "--seed 2")
        session.run_command(f"evaluate --data sample.csv --model {second} --gate")
        session.start_service("consume")
        session.start_service("serve")
        for part, change in enumerate(("", f"promote {second}", "rollback --reason test"), 1):
            if change:
                session.run_command(f"models {change}")
                _wait_for_model(session, second if part == 2 else first)
            session.run_command(f"produce {STREAM} --seed {part}")
            session.wait_until_consumed(part * ROWS_PER_VERSION)
        code = session.stop_service("consume")
        events, episode_end_events = session.events(), session.episode_end_events()
        yield ScoredStream(
            session, first, second, (first, second, first), events, episode_end_events, code
        )
    finally:
        session.close()


def _trained(session: CommandSession, options: str) -> str:
    """Train a version and return its id, as printed."""
    found = re.search(
        r"^version +(\S+)$",
        session.run_command(f"train --data sample.csv {options}").out,
        re.MULTILINE,
    )
    assert found is not None
    return found[1]


def _wait_for_model(session: CommandSession, version: str) -> None:
    """Wait until the consumer and the API say that a version is in force."""
    for service in ("consume", "serve"):
        wait_until(
            lambda service=service: f'version="{version}"' in session.fetch(service, "/metrics"),  # type: ignore[misc] # bound now
            deadline=20,
            what=f"{service} to follow the champion to {version}",
            every=0.1,
        )


def test_the_consumer_ends_well(scored_stream: ScoredStream) -> None:
    assert scored_stream.exit_code == 0


def test_the_ledger_adds_up_to_what_was_sent_and_what_came_out(scored_stream: ScoredStream) -> None:
    shown = scored_stream.session.run_json_command("ledger show --json")
    totals = Counter[str]()
    for partition in shown:
        for outcome in ("consumed", "normal", "anomalies", "dead_letters"):
            totals[outcome] += partition[outcome]
    assert totals["consumed"] == 3 * ROWS_PER_VERSION
    assert totals["anomalies"] == len(scored_stream.events)
    assert totals["dead_letters"] == len(
        scored_stream.session.committed(scored_stream.session.dead_letters)
    )
    assert min(totals.values()) > 0, "the stream must have rows of every outcome"
    assert totals["normal"] == 3 * ROWS_PER_VERSION - totals["anomalies"] - totals["dead_letters"]


def test_the_ledger_proves_every_record_with_the_version_that_scored_it(
    scored_stream: ScoredStream,
) -> None:
    stretches = scored_stream.session.run_json_command("ledger verify --json")
    assert {stretch["verdict"] for stretch in stretches} == {"proven"}
    assert sum(stretch["records"] for stretch in stretches) == 3 * ROWS_PER_VERSION
    assert {stretch["model_version"] for stretch in stretches} == {
        scored_stream.first,
        scored_stream.second,
    }


def test_events_come_from_every_model_in_the_order_they_were_in_force(
    scored_stream: ScoredStream,
) -> None:
    by_partition: dict[int, list[tuple[int, str]]] = {}
    for event in scored_stream.events:
        source = event["source"]
        found = by_partition.setdefault(source["partition"], [])
        found.append((source["offset"], event["model_version"]))
    assert set(by_partition) == {0, 1}
    for found in by_partition.values():
        assert found == sorted(found)
        versions = [version for _, version in found]
        changes = [
            version for n, version in enumerate(versions) if versions[n - 1 : n] != [version]
        ]
        assert tuple(changes) == scored_stream.versions


def test_no_event_comes_twice(scored_stream: ScoredStream) -> None:
    ids = [
        event["event_id"] for event in (*scored_stream.events, *scored_stream.episode_end_events)
    ]
    assert len(set(ids)) == len(ids)


def test_an_episodes_end_tells_of_as_many_rows_as_have_events(scored_stream: ScoredStream) -> None:
    rows = Counter(event["episode"]["id"] for event in scored_stream.events)
    assert scored_stream.episode_end_events
    assert {
        end["episode_id"]: end["rows"] for end in scored_stream.episode_end_events
    }.items() <= rows.items()


def test_tail_gives_pipes_every_event_as_it_is_in_the_topic(scored_stream: ScoredStream) -> None:
    events = [*scored_stream.events, *scored_stream.episode_end_events]
    command = f"tail --json --from-beginning --max {len(events)}"
    shown = {event["event_id"]: event for event in scored_stream.session.run_json_command(command)}
    assert shown == {event["event_id"]: event for event in events}


def test_faults_that_were_sent_are_found(scored_stream: ScoredStream) -> None:
    """The labels stand in the headers of the readings, never in their values."""
    labelled = {
        f"{message.topic()}-{message.partition()}-{message.offset()}"
        for message in scored_stream.session.committed(scored_stream.session.readings)
        if dict(message.headers() or []).get("sensorwatch-label") == b"spike"
    }
    assert len(labelled) > 50
    found = labelled & {event["event_id"] for event in scored_stream.events}
    assert len(found) / len(labelled) > 0.9


def test_the_api_gives_a_row_the_score_that_its_event_has(scored_stream: ScoredStream) -> None:
    """Bit for bit, from the same memory: the partition's rows before it are its history."""
    of_first = [
        event for event in scored_stream.events if event["model_version"] == scored_stream.first
    ]
    event = next(event for event in of_first if event["source"]["offset"] > ROWS_PER_VERSION // 8)
    source = event["source"]
    rejected = {
        (header_value(message, "__dlq.id") or b"").decode()
        for message in scored_stream.session.committed(scored_stream.session.dead_letters)
    }
    rows = [
        json.loads(message.value() or b"")
        for message in scored_stream.session.committed(source["topic"])
        if message.partition() == source["partition"]
        and (message.offset() or 0) <= source["offset"]
        and f"{source['topic']}-{source['partition']}-{message.offset()}" not in rejected
    ]
    body = {"history": rows[:-1], "rows": rows[-1:]}
    answer = json.loads(scored_stream.session.fetch("serve", "/predict", body))
    assert answer["model_version"] == scored_stream.first
    (scored,) = answer["rows"]
    for name in ("status", "anomaly_score", "raw_score", "p_value", "severity", "signals"):
        assert scored[name] == event[name]


def test_the_audit_log_tells_the_story_and_its_chain_is_whole(scored_stream: ScoredStream) -> None:
    told = scored_stream.session.run_command("models audit")
    actions = [line.split("\t")[3] for line in told.out.splitlines()[1:]]
    assert actions == ["register", "promote", "register", "evaluate", "promote", "rollback"]
    assert "the chain is intact" in told.err


def test_a_version_without_a_passing_report_is_not_promoted(scored_stream: ScoredStream) -> None:
    refused = scored_stream.session.run_command(f"models promote {scored_stream.first}", code=1)
    assert "report" in refused.err
    assert refused.err.count("\n") == 1, "one plain line"
