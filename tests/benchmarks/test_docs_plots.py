"""Tests of the plots in the user documents."""

from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.docs_plots import attribution_plot as reasons
from benchmarks.docs_plots import forecast_plot as forecast
from benchmarks.docs_plots import row_order_plot as order
from benchmarks.docs_plots import severity_plot as episode
from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from sensorwatch.common.svg_panel import Panel, titled_drawing

pytestmark = pytest.mark.slow  # the tests share one training


def texts_of(drawing: str) -> list[str]:
    """Return all texts of a drawing; the first is its title."""
    return [mark.text or "" for mark in ElementTree.fromstring(drawing).iter()][1:]


def test_the_legend_has_every_status_of_the_rows() -> None:
    drawn_texts = texts_of(order.draw())

    assert {"scored", "late", "duplicate", "gap", "warming_up"} <= set(drawn_texts)


def test_the_plot_shows_one_episode_that_opens_and_closes() -> None:
    drawn_texts = [text.strip() for text in texts_of(episode.draw())]

    assert (drawn_texts.count("opened"), drawn_texts.count("closed:")) == (1, 1)


def test_the_first_signal_in_the_plot_is_the_faulty_signal() -> None:
    signal_texts = [text for text in texts_of(reasons.draw()) if ", expected " in text]

    assert signal_texts[0].startswith("x2 ")
    assert ", high, " in signal_texts[0]


def test_drawing_a_plot_twice_gives_the_same_text() -> None:
    assert forecast.draw() == forecast.draw()


def test_a_known_sensor_is_scored_from_its_first_row_on() -> None:
    scored_sensor = score_sensor(MINUTE_FLEET, 0, slice(0, 20))

    assert {status.value for status in scored_sensor.statuses} == {"scored"}


def test_a_point_outside_a_panel_is_put_on_its_edge() -> None:
    panel = Panel(titled_drawing("", 100), 10, 90, (0, 10), (0, 1))

    assert panel.pixel(0, 5)[1] == 10
    assert panel.pixel(0, -5)[1] == 90
    panel.line(np.zeros(3), "black")
    assert "90.0" in panel.drawing.elements[-1]
