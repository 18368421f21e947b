"""The page of a sensor shows its signals, with the band before an episode."""

import math
import re

import msgspec
import pytest

from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.page.sensor_view import sensor_view
from sensorwatch.api.page.signal_charts import MAX_POINTS, MAX_TABLE_ROWS, signal_charts
from sensorwatch.common.alarms.events import Signal
from tests.alarms.event_builders import an_alarm, an_end
from tests.page.page_builders import HOSTILE_NAME, a_state, received, seconds_of
from tests.page.score_builders import a_record, a_row

NORMAL, RISEN = (2.0, 1.0, 3.0), (8.0, 7.0, 9.0)


def a_scored_state(minutes: int = 10, *, risen_from: int | None = None) -> PageState:
    """Return a state with one row a minute; values and band rise at minute `risen_from`."""
    state = a_state()
    for minute in range(minutes):
        is_risen = risen_from is not None and minute >= risen_from
        value, band = (8.0, RISEN) if is_risen else (2.0, NORMAL)
        row = a_row("pump-1", seconds_of(minute), value=value, band=band, severity=2 * is_risen)
        state.scores.history.add([a_record(row)])
    return state


def bands(state: PageState) -> list[tuple[float, float]]:
    (chart,) = signal_charts(state, "pump-1").charts
    return [(row.expected_low, row.expected_high) for row in chart.rows]


def test_without_an_episode_the_band_is_the_one_of_the_model() -> None:
    assert bands(a_scored_state(4, risen_from=2)) == [(1, 3), (1, 3), (7, 9), (7, 9)]


def test_during_an_open_episode_the_band_is_the_one_before_it() -> None:
    state = a_scored_state(4, risen_from=2)
    state.add(received(an_alarm("e", 2)))

    assert bands(state) == [(1, 3)] * 4


def test_after_an_episode_the_band_is_the_one_of_the_model() -> None:
    state = a_scored_state(15, risen_from=2)
    state.add(received(an_alarm("e", 2), an_end("e", 10)))

    assert bands(state)[8:12] == [(1, 3), (1, 3), (7, 9), (7, 9)]


def test_a_window_that_begins_in_an_episode_keeps_its_band() -> None:
    state = a_scored_state(3, risen_from=0)
    state.add(received(an_alarm("e", 0)))

    assert bands(state) == [(7, 9)] * 3


def test_long_histories_are_merged() -> None:
    state = a_scored_state(720, risen_from=700)

    (chart,) = signal_charts(state, "pump-1").charts

    assert len(chart.rows) == MAX_TABLE_ROWS
    assert (chart.lowest, chart.highest) == (2.0, 8.0)
    assert [(row.minimum, row.mean, row.maximum) for row in chart.rows[:2]] == [(2.0, 2.0, 2.0)] * 2
    assert chart.rows[-1].mean == pytest.approx((10 * 2 + 20 * 8) / 30)
    (trace,) = re.findall(r'class="trace" points="([^"]*)"', chart.svg)
    assert len(trace.split()) == MAX_POINTS


def test_the_signal_of_the_events_comes_first_and_alarms_are_marked() -> None:
    state = a_state()
    signals = [Signal("level", 90.0, 1.0, 3.0, "high"), Signal("flow", 2.0, 1.0, 3.0, "within")]
    alarm = msgspec.structs.replace(an_alarm("e", 1, severity="critical"), signals=signals)
    state.add(received(alarm))
    for name in ("flow", "level"):
        row = a_row("pump-1", seconds_of(1), value=2.0, severity=4)
        # The second record replaces the signals, so each minute needs both.
        state.scores.history.add([a_record(row, signal=name)])
    state.scores.history.add([a_record(a_row("pump-1", seconds_of(2)), signal="flow")])

    charts = signal_charts(state, "pump-1").charts

    assert [chart.name for chart in charts] == ["level", "flow"]
    assert [chart.alarms for chart in charts] == [1, 0]
    assert 'class="point severity-critical"' in charts[0].svg
    assert 'class="point' not in charts[1].svg
    assert all('class="mark severity-critical"' in chart.svg for chart in charts)


def test_a_gap_interrupts_the_lines() -> None:
    state = a_state()
    for minute in (0, 1, 2, 40, 41, 42):
        state.scores.history.add([a_record(a_row("pump-1", seconds_of(minute)))])

    (chart,) = signal_charts(state, "pump-1").charts

    assert chart.svg.count('class="trace"') == 2


def test_micro_batches_of_different_lengths_do_not_interrupt_the_lines() -> None:
    state = a_state()
    for minute in (0, 1, 2, 3, 23, 43, 63):
        state.scores.history.add([a_record(a_row("pump-1", seconds_of(minute)))])

    (chart,) = signal_charts(state, "pump-1").charts

    assert chart.svg.count('class="trace"') == 1


@pytest.mark.parametrize("value", [0.0, -1e38, 3e38, math.inf])
def test_plots_have_finite_coordinates_and_escaped_names(value: float) -> None:
    state = a_state()
    nan = math.nan
    for minute, band in enumerate([NORMAL, (nan, nan, nan), (value, value, value)]):
        row = a_row(HOSTILE_NAME, seconds_of(minute), value=value, band=band)
        state.scores.history.add([a_record(row, signal=HOSTILE_NAME)])

    charts = signal_charts(state, HOSTILE_NAME)
    page = render("sensor.html", view=sensor_view(state, HOSTILE_NAME), charts=charts, hours=12.0)

    assert "<img" not in page
    assert "had no alarm" in page
    corners = re.findall(r'points="([^"]*)"', charts.charts[0].svg)
    assert corners
    for corner in " ".join(corners).split():
        x, y = map(float, corner.split(","))
        assert -1 <= x <= 723
        assert -1 <= y <= 151
