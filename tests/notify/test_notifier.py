"""The loop after kills, restarts, outages, old events and bad records."""

from datetime import timedelta

import msgspec
import pytest

from tests.alarms.event_builders import an_end
from tests.kafka.record_builders import StoredRecord
from tests.notify.messages import CLOSED, HOOK_NAME, OPENED, UNKNOWN, critical, ends_of
from tests.notify.rig import HOOK, PEER, Rig


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
