"""Tests of the plots of alarms."""

from benchmarks.quality.alarms.alarm_plots import budget_plots
from benchmarks.report.log_plots import Curve, log_linear_plot
from tests.benchmarks.alarms.test_budget_rates import a_rate


def test_only_judged_rates_are_drawn() -> None:
    rates = [a_rate(episodes=30, sensor_days=300)]

    drawing = budget_plots(rates, {"warning": 0.1, "critical": 0.01})["alarms-budget"]

    assert ">warning<" in drawing
    assert ">critical<" not in drawing
    assert ">1<" in drawing


def test_without_a_configured_budget_there_is_no_plot() -> None:
    assert budget_plots([a_rate(episodes=30, sensor_days=300)], {}) == {}


def test_the_linear_axis_ends_at_its_top() -> None:
    drawing = log_linear_plot(
        "found", [Curve("spike", [(0.01, 0.0), (1.0, 100.0)])], axis_names=("rate", "%"), top=100.0
    )

    assert [f">{tick}<" in drawing for tick in (0, 20, 100, 120)] == [True, True, True, False]
    assert ">spike<" in drawing
