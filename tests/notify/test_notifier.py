"""The loop: what Alertmanager and webhooks get, also after kills, outages and bad records."""

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest

from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.notify.http_client import Answer, Outcome
from tests.alarms.event_builders import an_alarm, an_end
from tests.kafka.record_builders import StoredRecord
from tests.notify.rig import ACCEPTED, BEGIN, HOOK, OTHER_PEER, PEER, Rig

FAILED = Answer(Outcome.FAILED, "503")
UNKNOWN = Answer(Outcome.UNKNOWN, "timeout")
OPENED, RAISED, CLOSED = (
    f"sensors-0-1-{change}" for change in ("opened", "raised-critical", "closed")
)
HOOK_NAME = "http://hook"


def critical(minute: int = 59, **fields: Any) -> AnyEvent:
    return an_alarm(minute=minute, severity="critical", **fields)


def ends_of(alerts: list[dict[str, Any]]) -> list[float]:
    """Return the minute at which each alert ends."""
    ends = (datetime.fromisoformat(alert["endsAt"]) for alert in alerts)
    return [(end - BEGIN) / timedelta(minutes=1) for end in ends]


def test_an_open_incident_is_sent_every_minute_and_ends_three_minutes_later() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(critical())

    rig.run(150)

    alerts = rig.post.alerts()
    assert [alert["startsAt"] for alert in alerts] == ["2025-01-01T00:59:00+00:00"] * 3
    assert ends_of(alerts) == pytest.approx([63, 64, 65], abs=0.1)
    assert rig.metric("open_incidents", severity="critical") == 1


def test_a_closed_incident_is_sent_with_its_true_end_for_five_minutes() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(critical())
    rig.run(120)
    rig.publish(an_end(minute=62, severity="critical"))
    rig.post.requests.clear()

    rig.run(600)

    assert set(ends_of(rig.post.alerts())) == {61}
    assert 5 <= len(rig.post.alerts()) <= 8


def test_a_rising_severity_changes_no_label() -> None:
    rig = Rig(alertmanagers=[PEER], severity="warning")
    rig.publish(an_alarm(minute=58, severity="warning"))
    rig.run()
    rig.publish(critical(rows=2, news="severity"))
    rig.run()

    first, second = rig.post.alerts()

    assert first["labels"] == second["labels"]
    assert "severity" not in first["labels"]
    severities = [alert["annotations"]["severity"] for alert in (first, second)]
    assert severities == ["warning", "critical"]


def test_only_a_sensor_without_a_group_is_a_label() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(
        critical(episode_id="sensors-0-1", sensor="a", group="line"),
        critical(episode_id="sensors-0-2", sensor="b", group="line"),
        critical(episode_id="sensors-0-3", sensor="c"),
    )

    rig.run()

    labels = [alert["labels"] for alert in rig.post.alerts()]
    name_and_model = {"alertname": "SensorwatchIncident", "model": "default"}
    assert labels == [name_and_model | {"group": "line"}, name_and_model | {"sensor": "c"}]
    assert rig.post.alerts()[0]["annotations"]["members"] == "a, b"


def test_an_incident_that_ended_before_it_was_sent_is_first_sent_as_open() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.run()
    rig.publish(critical(), an_end(minute=60, severity="critical"))

    rig.run(130)

    ends = ends_of(rig.post.alerts())
    assert ends[0] == pytest.approx(63, abs=0.2)
    assert ends[-1] == 59


def test_every_peer_gets_every_alert_although_one_is_down() -> None:
    rig = Rig(alertmanagers=[PEER, OTHER_PEER])
    rig.post.answer = lambda url, _: FAILED if url.startswith(PEER) else ACCEPTED
    rig.publish(critical())
    rig.run(600)
    assert len(rig.post.alerts(OTHER_PEER)) == 10
    assert rig.metric("target_up", target=PEER) == 0

    rig.post.answer = lambda _url, _value: ACCEPTED
    rig.post.requests.clear()
    rig.run(62)

    assert rig.post.alerts(PEER)
    assert rig.metric("retried_total", target=PEER) > 5
    assert rig.metric("target_up", target=PEER) == 1


def test_a_refused_alert_is_counted_once_and_the_others_are_stored() -> None:
    rig = Rig(alertmanagers=[PEER])
    stored = []

    def answer(_url: str, alerts: Any) -> Answer:
        sensors = [alert["labels"].get("sensor") for alert in alerts]
        if "bad" in sensors:
            return Answer(Outcome.REFUSED, "status 400: bad label", 400)
        stored.extend(sensors)
        return ACCEPTED

    rig.post.answer = answer
    for name in ("a", "bad", "b", "c"):
        rig.publish(critical(episode_id=f"sensors-0-{name}", sensor=name))

    rig.run(130)

    assert {"a", "b", "c"} <= set(stored)
    assert rig.metric("refused_total", target=PEER) == 1


def test_a_webhook_gets_each_change_once() -> None:
    rig = Rig(webhooks=[HOOK], severity="warning")
    rig.publish(an_alarm(minute=58))
    rig.run()
    rig.publish(critical(rows=2, news="severity"))
    rig.run()
    rig.publish(an_end(minute=62, severity="critical"))
    rig.run(300)

    assert rig.post.changes() == [OPENED, RAISED, CLOSED]
    assert rig.metric("doubled_total", target=HOOK_NAME) == 0


def test_a_change_is_sent_again_after_a_timeout_and_counted_as_double() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.post.answer = lambda _url, _value: UNKNOWN
    rig.publish(critical())
    rig.run(10)
    rig.post.answer = lambda _url, _value: ACCEPTED
    rig.run(60)

    assert set(rig.post.changes()) == {OPENED}
    assert rig.metric("doubled_total", target=HOOK_NAME) == 1
    assert rig.metric("sent_total", target=HOOK_NAME) == 1


def test_a_change_that_certainly_did_not_arrive_is_not_counted_as_double() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.post.answer = lambda _url, _value: FAILED
    rig.publish(critical())
    rig.run(10)
    rig.post.answer = lambda _url, _value: ACCEPTED
    rig.run(60)

    assert rig.metric("doubled_total", target=HOOK_NAME) == 0
    assert rig.metric("sent_total", target=HOOK_NAME) == 1


def test_a_refused_change_is_counted_and_the_next_ones_are_sent() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.post.answer = lambda _url, value: (
        Answer(Outcome.REFUSED, "status 422", 422) if value["id"] == OPENED else ACCEPTED
    )
    rig.publish(critical())
    rig.run()
    rig.publish(an_end(minute=62, severity="critical"))
    rig.run()

    assert rig.post.changes() == [OPENED, CLOSED]
    assert rig.metric("refused_total", target=HOOK_NAME) == 1


def test_a_change_that_the_webhook_cannot_process_does_not_stop_the_others() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.post.answer = lambda _url, value: (
        Answer(Outcome.UNKNOWN, "status 500", 500) if value["id"] == OPENED else ACCEPTED
    )
    rig.publish(critical(minute=50), critical(episode_id="sensors-0-7", sensor="b"))
    rig.run()

    assert "sensors-0-7-opened" in rig.post.changes()
    assert rig.metric("sent_total", target=HOOK_NAME) == 1


def test_after_a_kill_between_answer_and_save_the_change_is_a_counted_double() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.run()
    rig.publish(critical())
    rig.now += timedelta(seconds=2)
    rig.notifier.step()
    while not rig.post.requests:
        pass
    rig.restart()

    rig.run()

    assert rig.post.changes() == [OPENED, OPENED]
    assert rig.metric("doubled_total", target=HOOK_NAME) == 1


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_after_any_step_loses_no_change(steps: int) -> None:
    rig = Rig(webhooks=[HOOK], alertmanagers=[PEER])
    rig.run(1)
    rig.publish(critical())
    rig.run(steps, step=1)
    rig.restart()
    rig.run(90)
    rig.publish(an_end(minute=61, severity="critical"))
    rig.run(steps, step=1)
    rig.restart()
    rig.run(90)

    assert list(dict.fromkeys(rig.post.changes())) == [OPENED, CLOSED]
    assert ends_of(rig.post.alerts())[-1] == 60


def test_a_restart_repeats_no_change_and_no_ended_alert() -> None:
    rig = Rig(webhooks=[HOOK], alertmanagers=[PEER])
    rig.publish(critical())
    rig.run(120)
    rig.publish(an_end(minute=61, severity="critical"))
    rig.run(600)
    rig.post.requests.clear()

    rig.restart()
    rig.run(120)

    assert rig.post.changes() == []
    assert rig.post.alerts() == []


def test_an_incident_ends_although_the_notifier_was_stopped_for_days() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(critical())
    rig.run()
    rig.now += timedelta(days=3)
    rig.publish(an_end(minute=100, severity="critical"))
    # The events of three days ago were deleted, and the end is older than max_age.
    rig.topic.records = rig.topic.records[1:]

    rig.restart()
    rig.run()

    assert rig.post.changes() == [OPENED, CLOSED]


def test_the_first_notifier_sends_open_incidents_only() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(critical(minute=10), an_end(minute=12, severity="critical"))
    rig.publish(critical(episode_id="sensors-0-7", sensor="b"))

    rig.run(100)

    assert rig.post.changes() == ["sensors-0-7-opened"]


def test_old_events_cause_no_alert() -> None:
    rig = Rig(webhooks=[HOOK], alertmanagers=[PEER], minute=60 * 24 * 7)
    rig.publish(critical(), received=rig.now)

    rig.run(100)

    assert rig.post.changes() == []
    assert rig.post.alerts() == []


def test_an_event_dated_in_the_future_is_sent_with_a_begin_that_alertmanager_accepts() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(critical(minute=60 * 20), received=rig.now)
    rig.run()

    (alert,) = rig.post.alerts()

    assert alert["startsAt"] <= rig.now.isoformat()
    rig.now += timedelta(days=8)
    rig.run(120)
    assert rig.metric("expired_incidents_total") == 1


def test_bad_records_are_counted_and_change_nothing() -> None:
    rig = Rig(webhooks=[HOOK])
    headers = [("ce_type", b"io.sensorwatch.anomaly.detected.v1")]
    bad_values = [
        None,
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"event_id": 1}',
        b"[" * 5_000,
        critical_json(event_time="yesterday"),
        critical_json(event_time="2025-01-01T00:59:00"),
        critical_json(event_time="9999-99-99T00:00:00Z"),
        critical_json(event_time="0001-01-01T00:00:00+23:59"),
    ]
    rig.topic.records += [StoredRecord(value, stored_headers=headers) for value in bad_values]
    rig.topic.records += [StoredRecord(critical_json()), StoredRecord(b"x", stored_headers=[])]
    rig.publish(critical())

    rig.run()

    assert rig.post.changes() == [OPENED]
    assert rig.metric("ignored_records_total") == len(bad_values) + 2


def critical_json(event_time: str = "2025-01-01T00:59:00Z") -> bytes:
    event = critical()
    return msgspec.json.encode({**msgspec.to_builtins(event), "event_time": event_time})


@pytest.mark.parametrize(
    ("milliseconds", "changes"), [(-(2**62), []), (-1, []), (0, []), (2**62, [OPENED])]
)
def test_any_kafka_timestamp_is_accepted(milliseconds: int, changes: list[str]) -> None:
    rig = Rig(webhooks=[HOOK])
    headers = [("ce_type", b"io.sensorwatch.anomaly.detected.v1")]
    record = StoredRecord(
        critical_json(), stored_headers=headers, stored_timestamp=(1, milliseconds)
    )
    rig.topic.records.append(record)

    rig.run()

    assert rig.post.changes() == changes


def test_two_notifiers_send_changes_with_equal_ids() -> None:
    first, second = Rig(webhooks=[HOOK]), Rig(webhooks=[HOOK])
    second.topic, second.store = first.topic, first.store
    second.restart()
    first.publish(critical())
    first.run()
    second.run()

    assert first.post.changes() == [OPENED]
    assert second.post.changes() == [OPENED]
    second.restart()
    second.publish(an_end(minute=61, severity="critical"))
    second.run()
    assert second.post.changes()[-1] == CLOSED


def test_the_state_that_the_broker_did_not_store_is_not_committed() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.run(120)
    committed = rig.topic.committed
    rig.store.is_down = True
    rig.publish(critical())

    rig.run(120)

    assert rig.post.changes() == [OPENED], "a message must not wait for the broker"
    assert rig.topic.committed == committed


def test_the_alert_of_a_live_notifier_stops_when_it_is_behind() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.run(62)
    assert rig.post.alerts(name="SensorwatchNotifierAlive")
    rig.reader.can_measure = False
    rig.run(240)
    rig.post.requests.clear()

    rig.run(120)

    assert rig.post.alerts(name="SensorwatchNotifierAlive") == []


def test_an_idle_input_partition_raises_an_alert() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.idle.idle = {2: BEGIN}
    rig.run(62)

    alert = rig.post.alerts(name="SensorwatchInputIdle")[0]

    assert alert["labels"]["partition"] == "2"
    assert alert["startsAt"] == BEGIN.isoformat()
    assert rig.metric("idle_partitions") == 1


def test_old_closed_incidents_are_removed_from_book_and_store() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(critical())
    rig.run()
    rig.publish(an_end(minute=61, severity="critical"))
    rig.run()
    assert rig.store.values
    rig.now += timedelta(hours=25)

    rig.run(120, step=30)

    assert rig.store.values == {}
    assert list(rig.context.book.incidents()) == []


def test_an_incident_that_no_alertmanager_could_get_is_sent_a_day_later() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.post.answer = lambda _url, _value: FAILED
    rig.publish(critical())
    rig.run()
    rig.publish(an_end(minute=62, severity="critical"))
    rig.run()
    rig.restart()
    rig.now += timedelta(hours=30)
    rig.run()
    rig.post.answer = lambda _url, _value: ACCEPTED
    rig.post.requests.clear()

    rig.run(300)

    ends = ends_of(rig.post.alerts())
    assert ends[0] > 60 * 30
    assert ends[-1] == 61


def test_an_incident_that_a_target_never_accepts_is_dropped_and_counted() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.post.answer = lambda _url, _value: UNKNOWN
    rig.publish(critical(), received=rig.now)
    rig.run()
    rig.publish(an_end(minute=62, severity="critical"), received=rig.now)
    rig.now += timedelta(days=9)

    rig.run(120, step=30)

    assert rig.metric("dropped_incidents_total") == 1
    assert rig.store.values == {}


def test_two_incidents_of_a_group_are_one_alert_of_the_newer_one() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.run()
    rig.publish(critical(minute=50), an_end(minute=52, severity="critical"))
    rig.publish(critical(minute=55, episode_id="sensors-0-7"))

    rig.run(130)

    begins = {alert["startsAt"] for alert in rig.post.alerts()}
    assert begins == {(BEGIN + timedelta(minutes=55)).isoformat()}
