"""The page of a sensor shows its episodes, its signals and the band before the episode."""

import math
import re

import msgspec
import pytest

from sensorwatch.api.page.sensor_view import sensor_view
from sensorwatch.api.page.signal_plots import TimelinePoint, range_plot, timeline_plot
from sensorwatch.common.alarms.events import Event, Signal
from tests.alarms.event_builders import a_time, an_acceptance, an_alarm, an_end
from tests.page.page_builders import a_state


def with_signal(event: Event, value: float, *, low: float, high: float) -> Event:
    """Return an event with one signal `x1`, which is above its band."""
    return msgspec.structs.replace(event, signals=[Signal("x1", value, low, high, "high")])


def test_the_band_is_the_one_before_the_episode() -> None:
    state = a_state(
        [
            with_signal(an_alarm("e", 0), 5.0, low=1.0, high=2.0),
            with_signal(an_alarm("e", 1, rows=2, start_minute=0), 9.0, low=4.0, high=8.0),
        ]
    )

    (plot,) = sensor_view(state, "pump-1").plots

    assert (plot.expected_low, plot.expected_high) == (1.0, 2.0)
    assert (plot.lowest, plot.highest) == (5.0, 9.0)


def test_the_open_episode_is_drawn_unless_another_one_is_selected() -> None:
    state = a_state(
        [
            an_alarm("open", 0),
            an_alarm("ended", 20, start_minute=20),
            an_end("ended", 30),
        ]
    )

    default, selected = sensor_view(state, "pump-1"), sensor_view(state, "pump-1", "ended")

    assert default.drawn_episode is not None
    assert default.drawn_episode.id == "open"
    assert selected.drawn_episode is not None
    assert selected.drawn_episode.id == "ended"


def test_every_kind_of_event_is_a_line_newest_first() -> None:
    state = a_state(
        [
            an_alarm("e", 0),
            an_alarm("e", 1, rows=2, news="severity", start_minute=0),
            an_acceptance("e", 8),
            an_end("e", 10),
        ]
    )

    lines = sensor_view(state, "pump-1").events

    assert [line.kind for line in lines] == [
        "ended",
        "accepted as usual",
        "severity is higher",
        "anomalous row",
    ]
    assert lines[0].time.isoformat().startswith(a_time(10)[:16])


def test_a_sensor_without_events_is_not_known() -> None:
    assert not sensor_view(a_state([an_alarm()]), "pump-9").is_known


@pytest.mark.parametrize("value", [0.0, 1.5, 9.0, -9.0, 1e308, -1e308, math.inf, 1.0 + 1e-16])
def test_plots_have_finite_coordinates(value: float) -> None:
    signal = Signal("x1", value, 1.0, 2.0, "high")
    points = [TimelinePoint(0.0, value, "major"), TimelinePoint(0.0, 1.5, '"><b>')]

    for svg in (range_plot(signal), timeline_plot(points, 1.0, 2.0)):
        numbers = re.findall(r' (?:x|y|cx|cy|width|height)="([^"]*)"', svg)
        assert numbers
        assert all(-1 <= float(number) <= 721 for number in numbers), svg
        assert "<b>" not in svg


def test_a_value_outside_its_band_is_marked() -> None:
    assert 'class="actual outside"' in range_plot(Signal("x1", 9.0, 1.0, 2.0, "high"))
    assert 'class="actual outside"' not in range_plot(Signal("x1", 1.5, 1.0, 2.0, "within"))
