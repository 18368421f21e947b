"""The plots of the user documents show what they say, from the real detector."""

from xml.etree import ElementTree

import numpy as np
import pytest

from benchmarks.docs_plots import attribution_plot as reasons
from benchmarks.docs_plots import episode_plot as episode
from benchmarks.docs_plots import forecast_plot as forecast
from benchmarks.docs_plots import row_order_plot as order
from benchmarks.docs_plots.panel import Panel, titled_drawing
from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor

pytestmark = pytest.mark.slow  # one training


def texts(drawing: str) -> list[str]:
    """What is written in a drawing, title first."""
    return [mark.text or "" for mark in ElementTree.fromstring(drawing).iter()][1:]


def test_every_status_that_the_rows_are_meant_to_have_is_in_the_key() -> None:
    written = texts(order.draw())

    assert {"scored", "late", "duplicate", "gap", "warming_up"} <= set(written)


def test_the_episode_is_one_that_opened_and_closed() -> None:
    written = [text.strip() for text in texts(episode.draw())]

    assert (written.count("opened"), written.count("closed:")) == (1, 1)


def test_the_reasons_begin_with_the_signal_that_was_changed() -> None:
    words = [text for text in texts(reasons.draw()) if ", expected " in text]

    assert words[0].startswith("x2 ")
    assert ", high, " in words[0]


def test_a_plot_is_drawn_the_same_again() -> None:
    assert forecast.draw() == forecast.draw()


def test_a_known_sensor_is_scored_from_its_first_row_on() -> None:
    scored = score_sensor(MINUTE_FLEET, 0, slice(0, 20))

    assert {status.value for status in scored.statuses} == {"scored"}


def test_what_lies_beyond_a_panel_is_put_on_its_edge() -> None:
    panel = Panel(titled_drawing("", 100), 10, 90, (0, 10), (0, 1))

    assert panel.pixel(0, 5)[1] == 10
    assert panel.pixel(0, -5)[1] == 90
    panel.line(np.zeros(3), "black")
    assert "90.0" in panel.drawing.marks[-1]
