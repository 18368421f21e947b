"""Silences of Alertmanager whose comment begins with a verdict become verdicts."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import msgspec
import pytest

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.events import Event, Signal
from sensorwatch.common.alarms.incidents import Incident, incidents_of
from sensorwatch.common.errors import BrokerUnavailable
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.verdicts.giving import undo_verdict
from sensorwatch.common.verdicts.verdict import Verdict, VerdictSource
from sensorwatch.common.verdicts.verdict_topic import read_newest_records, read_verdicts
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.episodes.episode_search import read_book
from sensorwatch.notify.http_client import reader
from sensorwatch.notify.routing import Target, TargetKind
from sensorwatch.notify.silence_watch import SilenceWatch, silence_judge
from sensorwatch.notify.silences import Silence, silenced_incident, verdict_silences
from tests.brokers.child_processes import wait_until
from tests.brokers.real_kafka import kafka_required
from tests.notify.alertmanager import Alertmanager, reason_alertmanager_is_missing
from tests.notify.rig import publish
from tests.notify.test_real_alertmanager import notifier

NOW = datetime.now(UTC).replace(microsecond=0)
EPISODE_ID = "sensors-0-1"
LABELS = {"alertname": "SensorwatchIncident", "model": "default", "sensor": "pump-1"}


def an_opening(minutes_ago: float = 10.0, episode_id: str = EPISODE_ID) -> Event:
    """Return the event of an alarm whose sensor is in no group."""
    start = (NOW - timedelta(minutes=minutes_ago)).isoformat()
    return msgspec.json.decode(
        json.dumps(
            {
                "event_id": episode_id,
                "sensor_id": "pump-1",
                "event_time": start,
                "model_version": "default-0001-aaaaaaaa",
                "anomaly_score": 3.0,
                "severity": "critical",
                "signals": [msgspec.to_builtins(Signal("x1", 9.0, -1.0, 1.0, "high", 1.0))],
                "episode": {"rows": 1, "id": episode_id, "start": start},
                "pattern": "spike",
            }
        ),
        type=Event,
    )


def a_matcher(name: str, value: str, *, regex: bool = False, equal: bool = True) -> dict[str, Any]:
    return {"name": name, "value": value, "isRegex": regex, "isEqual": equal}


def a_silence(comment: str = "false: a test run", **changes: Any) -> dict[str, Any]:
    """Return a silence as Alertmanager returns it."""
    return {
        "id": "s1",
        "status": {"state": "active"},
        "comment": comment,
        "createdBy": "anna",
        "startsAt": NOW.isoformat(),
        "endsAt": (NOW + timedelta(hours=2)).isoformat(),
        "updatedAt": NOW.isoformat(),
        "matchers": [a_matcher("sensor", "pump-1")],
        **changes,
    }


def parsed(*silences: dict[str, Any]) -> list[Silence]:
    return verdict_silences(json.dumps(silences).encode())


def an_incident(minutes_ago: float = 10.0, episode_id: str = EPISODE_ID) -> Incident:
    book = EpisodeBook()
    book.add(an_opening(minutes_ago, episode_id))
    (incident,) = incidents_of(book.episodes())
    return incident


@pytest.mark.parametrize(
    ("comment", "verdict"),
    [
        ("false", Verdict.FALSE),
        (" Expected: cleaning", Verdict.EXPECTED),
        ("TRUE, bearing is broken", Verdict.TRUE),
        ("not expected", None),
        ("falsely reported", None),
        ("", None),
    ],
)
def test_the_first_word_of_the_comment_is_the_verdict(
    comment: str, verdict: Verdict | None
) -> None:
    assert [silence.verdict for silence in parsed(a_silence(comment))] == (
        [] if verdict is None else [verdict]
    )


def test_a_silence_that_is_not_yet_active_gives_no_verdict() -> None:
    assert parsed(a_silence(status={"state": "pending"})) == []


@pytest.mark.parametrize(
    ("matchers", "is_met"),
    [
        ([a_matcher("sensor", "pump-1")], True),
        ([a_matcher("sensor", "pump-1"), a_matcher("model", "other", equal=False)], True),
        ([a_matcher("sensor", "pump-1"), a_matcher("model", "def.*", regex=True)], False),
        ([a_matcher("sensor", "pump-1"), a_matcher("model", "default", equal=False)], False),
        ([a_matcher("sensor", "pump-2")], False),
        ([a_matcher("sensor", "pump-.*", regex=True)], False),
        ([a_matcher("alertname", "SensorwatchIncident")], False),
    ],
)
def test_only_a_silence_of_one_alert_gives_a_verdict(
    matchers: list[dict[str, Any]], is_met: bool
) -> None:
    (silence,) = parsed(a_silence(matchers=matchers))

    assert silence.matches(LABELS) is is_met


def test_a_silence_concerns_the_newest_incident_that_had_begun() -> None:
    (silence,) = parsed(a_silence())
    old, new = an_incident(30, "sensors-0-1"), an_incident(10, "sensors-0-2")
    later = an_incident(-5, "sensors-0-3")

    found_incident = silenced_incident(silence, [(LABELS, i) for i in (old, new, later)])

    assert found_incident is new
    assert silenced_incident(silence, [(LABELS, later)]) is None


def test_a_verdict_that_is_not_stored_is_given_again_and_a_stored_one_is_not() -> None:
    calls: list[str] = []

    def judge(episode_id: str, _silence: Silence) -> bool:
        calls.append(episode_id)
        if len(calls) == 1:
            raise BrokerUnavailable("no broker")
        return True

    target = Target(TargetKind.ALERTMANAGER, "http://localhost:9")
    requests: list[str] = []

    def get(url: str) -> bytes:
        requests.append(url)
        if len(requests) == 1:
            raise OSError("down")
        return json.dumps([a_silence()]).encode()

    watch = SilenceWatch([target], get, judge)
    watch.close()
    watch._incidents = [an_incident()]
    for _ in range(4):
        watch.poll()

    assert calls == [EPISODE_ID, EPISODE_ID]
    assert requests == ["http://localhost:9/api/v2/silences"] * 4


@pytest.fixture
def alertmanager(tmp_path: Path) -> Iterator[Alertmanager]:
    missing = reason_alertmanager_is_missing()
    if missing is not None:
        if kafka_required():
            pytest.fail(f"{missing}, and CI needs it", pytrace=False)
        pytest.skip(missing)
    (tmp_path / "registry").mkdir()
    program = Alertmanager(tmp_path, webhook="http://127.0.0.1:9")
    try:
        program.wait_ready()
        yield program
    finally:
        program.close()


def silence(alertmanager: Alertmanager, comment: str) -> None:
    """Create a silence of the alert of pump-1, as Alertmanager's page does."""
    now = datetime.now(UTC)
    value = {
        "matchers": [a_matcher(name, text) for name, text in LABELS.items()],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "anna",
        "comment": comment,
    }
    request = Request(
        f"{alertmanager.address}/api/v2/silences",
        json.dumps(value).encode(),
        {"Content-Type": "application/json"},
    )
    urlopen(request, timeout=10).close()


@pytest.mark.embedded
def test_a_silence_in_a_real_alertmanager_becomes_a_verdict_once(
    tmp_path: Path, alertmanager: Alertmanager
) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("anomalies")
        publish(broker, an_opening())
        settings = Settings.model_validate(
            {
                "kafka": {"bootstrap.servers": broker.address},
                "registry": {"path": tmp_path / "registry"},
            }
        )
        incidents = incidents_of(read_book(settings.kafka, "anomalies").episodes())
        judge = silence_judge(settings, lambda: time.time_ns() // 1_000)
        target = Target(TargetKind.ALERTMANAGER, alertmanager.address)
        watch = SilenceWatch([target], reader(5.0), judge)
        silence(alertmanager, "just a comment")
        silence(alertmanager, "expected: the pump is flushed")

        watch.note(incidents)
        wait_until(
            lambda: EPISODE_ID in read_verdicts(settings.kafka, settings.verdicts_topic),
            deadline=20,
            what="the verdict",
        )
        watch.close()

        record = read_verdicts(settings.kafka, settings.verdicts_topic)[EPISODE_ID]
        assert (record.verdict, record.who) == ("expected", "anna")
        assert (record.source, record.note) == ("alertmanager", "expected: the pump is flushed")
        policy = PolicyRegistry(settings.registry.path, "default").current()
        assert policy is not None
        assert [entry.sensor for entry in policy.learned.suppressions] == ["pump-1"]

        undo_verdict(
            settings,
            record,
            who="bob",
            note="",
            source=VerdictSource.COMMAND,
            now=time.time_ns() // 1_000,
        )
        restarted_watch = SilenceWatch([], reader(5.0), judge)
        restarted_watch._targets = [target]
        restarted_watch._incidents = incidents
        restarted_watch.poll()

        newest = read_newest_records(settings.kafka, settings.verdicts_topic)[EPISODE_ID]
        assert newest.verdict is Verdict.UNDONE
        actions = [entry.who for entry in Registry(settings.registry.path).audit("default")]
        assert actions == ["anna", "bob"]


@pytest.mark.slow
@pytest.mark.embedded
def test_the_notifier_gives_the_verdict_of_a_silence(
    tmp_path: Path, alertmanager: Alertmanager
) -> None:
    with EmbeddedBroker() as broker:
        broker.create_topic("anomalies")
        publish(broker, an_opening())
        program = notifier(tmp_path, broker, alertmanager.address)
        try:
            silence(alertmanager, "false: a test run")
            kafka = {"bootstrap.servers": broker.address}
            wait_until(
                lambda: EPISODE_ID in read_verdicts(kafka, "sensorwatch.verdicts"),
                deadline=40,
                what="the verdict",
            )
        finally:
            program.close()
    policy = PolicyRegistry(tmp_path / "registry", "default").current()
    assert policy is not None
    assert [entry.verdict for entry in policy.learned.suppressions] == ["false"]
