"""What Alertmanager gets: alerts of incidents, of the notifier and of idle partitions."""

from datetime import timedelta
from typing import Any

import pytest

from sensorwatch.notify.http_client import Answer, Outcome
from tests.alarms.event_builders import an_alarm, an_end
from tests.deploy.compose import ROOT
from tests.notify.messages import (
    FAILED,
    critical,
    ends_of,
)
from tests.notify.rig import ACCEPTED, BEGIN, OTHER_PEER, PEER, Rig


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


def test_an_event_dated_in_the_future_is_sent_with_a_begin_that_alertmanager_accepts() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(critical(minute=60 * 20), received=rig.now)
    rig.run()

    (alert,) = rig.post.alerts()

    assert alert["startsAt"] <= rig.now.isoformat()
    rig.now += timedelta(days=8)
    rig.run(120)
    assert rig.metric("expired_incidents_total") == 1


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


def test_two_incidents_of_a_group_are_one_alert_of_the_newer_one() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.run()
    rig.publish(critical(minute=50), an_end(minute=52, severity="critical"))
    rig.publish(critical(minute=55, episode_id="sensors-0-7"))

    rig.run(130)

    begins = {alert["startsAt"] for alert in rig.post.alerts()}
    assert begins == {(BEGIN + timedelta(minutes=55)).isoformat()}


@pytest.mark.parametrize("base", ["https://git/docs/runbooks", "https://git/docs/runbooks/"])
def test_alerts_lead_to_pages_that_exist(base: str) -> None:
    rig = Rig(alertmanagers=[PEER], runbooks_url=base)
    rig.idle.idle = {2: BEGIN}
    rig.publish(critical())

    rig.run()
    rig.run(120)

    pages = {
        alert["labels"]["alertname"]: alert["annotations"]["runbook_url"]
        for name in ("SensorwatchIncident", "SensorwatchInputIdle")
        for alert in rig.post.alerts(name=name)
    }
    assert len(pages) == 2
    for address in pages.values():
        folder, _, page = address.rpartition("/")
        assert folder == "https://git/docs/runbooks"
        assert (ROOT / "docs" / "runbooks" / page).is_file()


def test_without_a_base_address_alerts_have_no_runbook() -> None:
    rig = Rig(alertmanagers=[PEER])
    rig.publish(critical())

    rig.run()

    (alert,) = rig.post.alerts()
    assert "runbook_url" not in alert["annotations"]
