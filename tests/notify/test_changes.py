"""Which changes a webhook gets of incidents that join, open again or match a route."""

from datetime import timedelta

import msgspec

from sensorwatch.common.alarms.events import AnyEvent, BackEvent, SilentEvent
from tests.alarms.event_builders import a_time, an_alarm, an_end
from tests.notify.rig import HOOK, PEER, Rig

OTHER_HOOK = "http://other/changes"


def an_opening(
    episode_id: str, minute: int, severity: str = "critical", group: str = "line"
) -> AnyEvent:
    """Return the first event of an episode; its sensor has the name of the episode."""
    return an_alarm(episode_id, minute, sensor=episode_id, severity=severity, group=group)


def its_end(episode_id: str, minute: int) -> AnyEvent:
    return an_end(episode_id, minute, sensor=episode_id, severity="critical", group="line")


def test_an_episode_that_joins_an_open_incident_causes_no_change() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(an_opening("a", 50))
    rig.run()
    rig.publish(an_opening("b", 55), its_end("a", 56))
    rig.run()
    assert rig.post.changes() == ["a-opened"]

    rig.publish(its_end("b", 59))
    rig.run()

    assert rig.post.changes() == ["a-opened", "a-closed"]


def test_an_incident_keeps_its_id_if_an_earlier_episode_is_read_later() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(an_opening("b", 55))
    rig.run()
    rig.publish(an_opening("a", 50))
    rig.run()
    rig.publish(its_end("a", 57), its_end("b", 58))
    rig.run()

    assert rig.post.changes() == ["b-opened", "b-closed"]


def test_an_incident_that_opens_again_has_a_new_id() -> None:
    rig = Rig(webhooks=[HOOK])
    rig.publish(an_opening("a", 50))
    rig.run()
    rig.publish(its_end("a", 57))
    rig.run()
    # This episode of another partition is read late. It overlaps with the closed one.
    rig.publish(an_opening("b", 55))
    rig.run()

    assert rig.post.changes() == ["a-opened", "a-closed", "b-opened"]


def test_routes_choose_by_severity_group_and_pattern() -> None:
    routes = [
        {"name": "pager", "severity": "critical", "target": HOOK},
        {"name": "line", "severity": "warning", "group": "line-?", "target": OTHER_HOOK},
        {"name": "stuck", "severity": "info", "pattern": "stuck"},
    ]
    rig = Rig(webhooks=[HOOK, OTHER_HOOK], routes=routes)
    rig.publish(an_opening("a", 50, "critical", group="hall"))
    rig.publish(an_opening("b", 51, "major", group="line-7"))
    rig.publish(an_opening("c", 52, "info", group="line-7"))

    rig.run()

    assert rig.post.changes(HOOK) == ["a-opened"]
    assert rig.post.changes(OTHER_HOOK) == ["b-opened"]
    (event,) = (value for url, value in rig.post.requests if url == OTHER_HOOK)
    assert event["data"]["route"] == "line"


def test_a_route_keeps_an_incident_whose_pattern_changes() -> None:
    routes = [{"name": "spikes", "severity": "warning", "pattern": "spike"}]
    rig = Rig(webhooks=[HOOK], routes=routes)
    opening = an_alarm("a", 50, sensor="a", severity="critical", group="line")
    next_event = an_alarm("a", 52, sensor="a", severity="critical", rows=2, news="change")
    rig.publish(opening)
    rig.run()
    rig.publish(msgspec.structs.replace(next_event, pattern="stuck"))
    rig.run()
    rig.publish(its_end("a", 57))
    rig.run()

    assert rig.post.changes() == ["a-opened", "a-closed"]


def test_an_episode_below_the_lowest_severity_joins_no_incident() -> None:
    rig = Rig(webhooks=[HOOK], severity="major")
    rig.publish(an_opening("a", 40), its_end("a", 45))
    # This episode would overlap with both incidents.
    rig.publish(an_opening("small", 30, severity="warning"), an_opening("b", 50))
    rig.topic.committed = 0
    rig.restart()

    rig.run()
    rig.run()

    assert rig.post.changes() == ["a-opened", "b-opened", "a-closed"]


def test_a_day_later_a_new_incident_begins_in_a_group_that_is_never_without_episodes() -> None:
    rig = Rig(webhooks=[HOOK], alertmanagers=[PEER], minute=1441)
    rig.publish(an_opening("a", 10))
    rig.run(70)
    rig.now += timedelta(minutes=10)
    rig.publish(an_opening("b", 1452))
    rig.run(70)

    assert rig.post.changes() == ["a-opened", "b-opened"]
    assert rig.post.alerts()[-1]["annotations"]["episodes"] == "b"
    rig.publish(its_end("b", 1455))
    rig.run(400)
    assert rig.post.alerts()[-1]["annotations"]["episodes"] == "a"


def test_a_closed_episode_below_the_lowest_severity_takes_no_memory() -> None:
    rig = Rig(webhooks=[HOOK])
    small = an_opening("small", 30, severity="warning")
    rig.publish(small)
    rig.run()
    assert rig.context.book.state_of(small) is not None

    rig.publish(an_end("small", 40, sensor="small", severity="warning", group="line"))
    rig.run(70)

    assert rig.context.book.state_of(small) is None


def test_the_silence_of_a_sensor_is_an_incident_until_the_sensor_is_back() -> None:
    silence, end = "sensors-0-7-silent-0", "sensors-0-9-back"
    rig = Rig(webhooks=[HOOK], severity="major")
    rig.publish(
        SilentEvent(silence, "a", a_time(50), "major", "no row for 20 min", last=a_time(30))
    )
    rig.run()
    rig.publish(BackEvent(end, "a", a_time(58), "major", "rows again", episode_id=silence))
    rig.run()

    assert rig.post.changes() == [f"{silence}-opened", f"{silence}-closed"]
    event = rig.post.requests[0][1]["data"]
    assert (event["pattern"], event["message"]) == ("silent", "a: no row for 20 min")
    assert event["begin"] == "2025-01-01T00:30:00Z"
