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
from tests.end_to_end.command_session import Person
from tests.reading_builders import DEFAULT_SCHEMA

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PART = 6_000
"""Rows sent while one model is in force."""
FAULTS = "rate=0.01,kinds=spike+malformed,size=10"
TRAINING = "--out sample.csv --rows 8000"
STREAM = f"--rows {PART} --rate max --interval 300 --faults {FAULTS}"


@dataclass(frozen=True, slots=True)
class Day:
    """What somebody has after a day with it."""

    person: Person
    first: str
    second: str
    versions: tuple[str, str, str]
    """The versions that were in force while the parts were scored."""
    events: list[dict[str, Any]]
    ends: list[dict[str, Any]]
    exit_code: int


@pytest.fixture(scope="module")
def day(kafka: Kafka, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """Topics, a file, two versions; a stream scored by the first, the second, the first again."""
    person = Person(kafka, tmp_path_factory.mktemp("day"), schema=DEFAULT_SCHEMA)
    try:
        person.types("topics create --partitions 2")
        person.types(f"produce {TRAINING}")
        first = _trained(person, "--seed 1")
        second = _trained(person, "--seed 2")
        person.types(f"evaluate --data sample.csv --model {second} --gate")
        person.starts("consume")
        person.starts("serve")
        for part, change in enumerate(("", f"promote {second}", "rollback --reason test"), 1):
            if change:
                person.types(f"models {change}")
                _wait_for_model(person, second if part == 2 else first)
            person.types(f"produce {STREAM} --seed {part}")
            person.waits_until_consumed(part * PART)
        code = person.stops("consume")
        events, ends = person.events(), person.ends()
        yield Day(person, first, second, (first, second, first), events, ends, code)
    finally:
        person.close()


def _trained(person: Person, options: str) -> str:
    """Train a version and return its id, as printed."""
    found = re.search(
        r"^version +(\S+)$", person.types(f"train --data sample.csv {options}").out, re.MULTILINE
    )
    assert found is not None
    return found[1]


def _wait_for_model(person: Person, version: str) -> None:
    """Wait until the consumer and the API say that a version is in force."""
    for service in ("consume", "serve"):
        wait_until(
            lambda service=service: f'version="{version}"' in person.asks(service, "/metrics"),  # type: ignore[misc] # bound now
            deadline=20,
            what=f"{service} to follow the champion to {version}",
            every=0.1,
        )


def test_the_consumer_ends_well(day: Day) -> None:
    assert day.exit_code == 0


def test_the_ledger_adds_up_to_what_was_sent_and_what_came_out(day: Day) -> None:
    shown = day.person.reads_json("ledger show --json")
    totals = Counter[str]()
    for partition in shown:
        for outcome in ("consumed", "normal", "anomalies", "dead_letters"):
            totals[outcome] += partition[outcome]
    assert totals["consumed"] == 3 * PART
    assert totals["anomalies"] == len(day.events)
    assert totals["dead_letters"] == len(day.person.committed(day.person.dead_letters))
    assert min(totals.values()) > 0, "the stream must have rows of every outcome"
    assert totals["normal"] == 3 * PART - totals["anomalies"] - totals["dead_letters"]


def test_the_ledger_proves_every_record_with_the_version_that_scored_it(day: Day) -> None:
    stretches = day.person.reads_json("ledger verify --json")
    assert {stretch["verdict"] for stretch in stretches} == {"proven"}
    assert sum(stretch["records"] for stretch in stretches) == 3 * PART
    assert {stretch["model_version"] for stretch in stretches} == {day.first, day.second}


def test_events_come_from_every_model_in_the_order_they_were_in_force(day: Day) -> None:
    by_partition: dict[int, list[tuple[int, str]]] = {}
    for event in day.events:
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
        assert tuple(changes) == day.versions


def test_no_event_comes_twice(day: Day) -> None:
    ids = [event["event_id"] for event in (*day.events, *day.ends)]
    assert len(set(ids)) == len(ids)


def test_an_episodes_end_tells_of_as_many_rows_as_have_events(day: Day) -> None:
    rows = Counter(event["episode"]["id"] for event in day.events)
    assert day.ends
    assert {end["episode_id"]: end["rows"] for end in day.ends}.items() <= rows.items()


def test_tail_gives_pipes_every_event_as_it_is_in_the_topic(day: Day) -> None:
    events = [*day.events, *day.ends]
    command = f"tail --json --from-beginning --max {len(events)}"
    shown = {event["event_id"]: event for event in day.person.reads_json(command)}
    assert shown == {event["event_id"]: event for event in events}


def test_faults_that_were_sent_are_found(day: Day) -> None:
    """The labels stand in the headers of the readings, never in their values."""
    labelled = {
        f"{message.topic()}-{message.partition()}-{message.offset()}"
        for message in day.person.committed(day.person.readings)
        if dict(message.headers() or []).get("sensorwatch-label") == b"spike"
    }
    assert len(labelled) > 50
    found = labelled & {event["event_id"] for event in day.events}
    assert len(found) / len(labelled) > 0.9


def test_the_api_gives_a_row_the_score_that_its_event_has(day: Day) -> None:
    """Bit for bit, from the same memory: the partition's rows before it are its history."""
    of_first = [event for event in day.events if event["model_version"] == day.first]
    event = next(event for event in of_first if event["source"]["offset"] > PART // 8)
    source = event["source"]
    rejected = {
        (header_value(message, "__dlq.id") or b"").decode()
        for message in day.person.committed(day.person.dead_letters)
    }
    rows = [
        json.loads(message.value() or b"")
        for message in day.person.committed(source["topic"])
        if message.partition() == source["partition"]
        and (message.offset() or 0) <= source["offset"]
        and f"{source['topic']}-{source['partition']}-{message.offset()}" not in rejected
    ]
    body = {"history": rows[:-1], "rows": rows[-1:]}
    answer = json.loads(day.person.asks("serve", "/predict", body))
    assert answer["model_version"] == day.first
    (scored,) = answer["rows"]
    for name in ("status", "anomaly_score", "raw_score", "p_value", "severity", "signals"):
        assert scored[name] == event[name]


def test_the_audit_log_tells_the_story_and_its_chain_is_whole(day: Day) -> None:
    told = day.person.types("models audit")
    actions = [line.split("\t")[3] for line in told.out.splitlines()[1:]]
    assert actions == ["register", "promote", "register", "evaluate", "promote", "rollback"]
    assert "the chain is whole" in told.err


def test_a_version_without_a_passing_report_is_not_promoted(day: Day) -> None:
    refused = day.person.types(f"models promote {day.first}", code=1)
    assert "report" in refused.err
    assert refused.err.count("\n") == 1, "one plain line"
