"""What webhooks get: each change of an incident, also after timeouts and refusals."""

from sensorwatch.notify.http_client import Answer, Outcome
from tests.alarms.event_builders import an_alarm, an_end
from tests.notify.messages import CLOSED, FAILED, HOOK_NAME, OPENED, RAISED, UNKNOWN, critical
from tests.notify.rig import ACCEPTED, HOOK, Rig


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
