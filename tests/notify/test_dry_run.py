"""`sensorwatch notify --dry-run` prints what would have been sent, and sends nothing."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from sensorwatch.common.alarms.events import AnyEvent, Episode
from sensorwatch.common.kafka.records import Record
from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from sensorwatch.notify.dry_run import dry_messages
from sensorwatch.notify.policy import policy_of
from sensorwatch.notify.routing import Target, TargetKind
from tests.alarms.event_builders import an_alarm, an_end
from tests.commands.command_runner import run_in_process
from tests.notify.http_target import HttpTarget
from tests.notify.rig import BEGIN, a_record, publish

POLICY = policy_of(NotifySettings(), "sensorwatch.notify")
TARGET = Target(TargetKind.WEBHOOK, "", severity="major")


def texts(records: Iterable[Record], too_old: set[str] | None = None) -> list[str]:
    """Return kind and severity of each message that the records cause."""
    messages = dry_messages(records, [TARGET], POLICY, set() if too_old is None else too_old)
    return [f"{message.change.kind} {message.change.incident.severity}" for message in messages]


def test_each_change_at_or_above_the_severity_is_a_message() -> None:
    events: list[AnyEvent] = [
        an_alarm(minute=0, severity="warning"),
        an_alarm(minute=1, severity="major", rows=2, news="severity"),
        an_alarm(minute=2, severity="major", rows=3),
        an_alarm(minute=3, severity="critical", rows=4, news="severity"),
        an_end(minute=9, severity="critical"),
        an_alarm("sensors-0-5", minute=5, severity="warning", sensor="b"),
    ]

    assert texts(map(a_record, events)) == ["opened major", "raised critical", "closed critical"]


def test_events_of_a_replay_cause_no_message() -> None:
    record = a_record(an_alarm(severity="critical"), received=BEGIN + timedelta(days=7))

    too_old: set[str] = set()
    assert texts([record], too_old) == []
    assert too_old == {"sensors-0-1"}


def test_the_end_of_an_episode_without_a_begin_in_the_topic_causes_no_message() -> None:
    assert texts([a_record(an_end(severity="critical"))]) == []


def test_the_command_prints_each_message_and_their_number_and_sends_nothing(
    tmp_path: Path,
) -> None:
    time = datetime.now(UTC).isoformat()
    alarm = msgspec.structs.replace(
        an_alarm(severity="critical"), event_time=time, episode=Episode(1, "sensors-0-1", time)
    )
    with EmbeddedBroker() as broker, HttpTarget() as webhook:
        broker.create_topic("anomalies")
        publish(broker, alarm)
        (tmp_path / "sensorwatch.toml").write_text(
            f'[kafka]\n"bootstrap.servers" = "{broker.address}"\n'
            f'[notify]\nwebhooks = ["{webhook.url}"]\n'
        )

        result = run_in_process("notify", "--dry-run", "--since", "7d", folder=tmp_path)

        assert webhook.values == []
    assert (result.code, result.err) == (0, "")
    line, summary = result.out.splitlines()
    assert line.endswith("opened  critical  pump-1  pump-1: x1 is high in row 1")
    assert summary == "1 message in the last 7d: 1 opened, 0 raised, 0 closed"


def test_a_wrong_duration_is_a_usage_error(tmp_path: Path) -> None:
    result = run_in_process("notify", "--dry-run", "--since", "week", folder=tmp_path)

    assert result.code == 2
    assert "not a duration such as 90s, 30m, 24h or 7d" in result.err
