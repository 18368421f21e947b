"""The page shows incidents in order, sends only changes, and escapes every text."""

from sensorwatch.api.page.incident_board import MAX_OPEN, incident_board
from sensorwatch.api.page.page_feed import PageFeed, part_id
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.page.sensor_view import sensor_view
from sensorwatch.api.page.signal_charts import signal_charts
from sensorwatch.common.alarms.events import Signal
from tests.alarms.event_builders import an_alarm, an_end
from tests.page.page_builders import HOSTILE_NAME, a_state, received


def a_feed(state: PageState) -> PageFeed:
    return PageFeed(state, lambda: {"status": f"problem: {state.connection.problem}"})


def test_open_incidents_are_in_the_order_of_severity_then_newest_first() -> None:
    state = a_state(
        [
            an_alarm("a", 0, sensor="a", severity="warning"),
            an_alarm("b", 1, sensor="b", severity="critical"),
            an_alarm("c", 2, sensor="c", severity="critical"),
            an_alarm("d", 3, sensor="d", severity="info"),
            an_alarm("e", 4, sensor="e"),
            an_end("e", 9, sensor="e"),
        ]
    )

    board = incident_board(state.episodes())

    assert [incident.id for incident in board.shown] == ["c", "b", "a", "d"]
    assert [incident.id for incident in board.closed] == ["e"]
    assert board.counts == {"critical": 2, "warning": 1, "info": 1}


def test_incidents_that_are_not_shown_are_counted() -> None:
    state = a_state(an_alarm(f"e{n}", 0, sensor=f"s{n}") for n in range(MAX_OPEN + 7))

    delta = a_feed(state).delta_since("")

    assert len(delta.order) == MAX_OPEN
    assert "7 more open incidents" in delta.parts["hidden-incidents"]


def test_a_delta_contains_only_what_changed() -> None:
    state = a_state([an_alarm("a", 0, sensor="a"), an_alarm("b", 0, sensor="b")])
    feed = a_feed(state)
    first = feed.delta_since("")

    unchanged = feed.delta_since(first.id)
    state.add(received(an_alarm("b", 1, sensor="b", rows=2, severity="critical", news="severity")))
    changed = feed.delta_since(first.id)

    assert set(first.parts) >= {part_id("a"), part_id("b"), "summary", "status"}
    assert unchanged.parts == {}
    assert unchanged.id == first.id
    assert set(changed.parts) == {part_id("b"), "summary"}
    assert changed.order == (part_id("b"), part_id("a"))


def test_a_client_that_missed_deltas_gets_all_changes_at_once() -> None:
    state = a_state([an_alarm("a", 0, sensor="a")])
    feed = a_feed(state)
    known_id = feed.delta_since("").id
    for minute in range(1, 4):
        state.add(received(an_alarm(f"n{minute}", minute, sensor=f"n{minute}")))
        feed.delta_since(known_id)

    late = feed.delta_since(known_id)

    assert {part_id(f"n{minute}") for minute in range(1, 4)} <= set(late.parts)
    assert part_id("a") not in late.parts


def test_a_client_with_an_id_of_an_earlier_process_gets_all_parts() -> None:
    feed = a_feed(a_state([an_alarm("a", 0)]))
    newest = feed.delta_since("")

    for known_id in ("0123abcd-7", "x", f"{newest.id}9999999999999999", "-", newest.id[:8]):
        assert feed.delta_since(known_id).parts == newest.parts


def test_a_closed_incident_is_no_longer_an_open_one() -> None:
    state = a_state([an_alarm("a", 0)])
    feed = a_feed(state)
    feed.delta_since("")

    state.add(received(an_end("a", 10)))
    delta = feed.delta_since("")

    assert delta.order == ()
    assert part_id("a") not in delta.parts
    assert "x1 is high" in delta.parts["closed-incidents"]


def test_a_lost_connection_changes_the_status() -> None:
    state = a_state()
    feed = a_feed(state)
    known_id = feed.delta_since("").id

    state.disconnect("no broker")

    assert feed.delta_since(known_id).parts == {"status": "problem: no broker"}


def test_hostile_names_are_escaped_everywhere() -> None:
    alarm = an_alarm(HOSTILE_NAME, 0, sensor=HOSTILE_NAME, group=HOSTILE_NAME)
    signal = Signal(HOSTILE_NAME, 9.0, 0.0, 1.0, HOSTILE_NAME)
    state = a_state(
        [
            type(alarm)(
                **{name: getattr(alarm, name) for name in alarm.__struct_fields__}
                | {"signals": [signal], "severity": HOSTILE_NAME, "news": HOSTILE_NAME}
            ),
            an_end(HOSTILE_NAME, 10, sensor=HOSTILE_NAME, severity=HOSTILE_NAME),
            an_alarm("second", 1, sensor=HOSTILE_NAME, group=HOSTILE_NAME),
        ]
    )
    delta = a_feed(state).delta_since("")
    lanes = state.lanes(*state.window, 10)
    view, charts = sensor_view(state, HOSTILE_NAME), signal_charts(state, HOSTILE_NAME)
    pages = [
        *delta.parts.values(),
        render("sensor.html", view=view, charts=charts, hours=12.0),
        render("odd.html", odd=lanes, span=_WholeSpan, scores=state.scores),
    ]

    assert any("&lt;img" in page for page in pages)
    for page in pages:
        assert "<img" not in page
        assert "\u202e" not in page
        assert "onerror=alert(1)>" not in page
        assert all(name.replace("-", "").isalnum() for name in [part_id(HOSTILE_NAME)])


class _WholeSpan:
    begin, end = 0.0, 1.0
