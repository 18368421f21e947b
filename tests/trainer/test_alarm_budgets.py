"""Tests of training's texts about false alarms, of the budget check, and of the alarm plan."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from sensorwatch.common.runtime.command_line import run
from sensorwatch.common.runtime.setting_keys import AlarmSettings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.alarm_fitting import CleanEpisodes, fit_alarm_rates
from sensorwatch.trainer.alarm_plan import AlarmPlan, PlannedCase
from sensorwatch.trainer.alarm_plan_plot import plan_drawing
from sensorwatch.trainer.alarm_text import (
    alarm_figures,
    expectation_text,
    extrapolation_warnings,
)
from sensorwatch.trainer.alarms_command import app
from sensorwatch.trainer.clean_alarms import CleanAlarms, budget_checks, lower_bound
from sensorwatch.trainer.fault_injection import FaultCase
from tests.trainer.training_builders import simulated_readings, write_rows

BUDGETS = (0.1, 0.03, 0.01)


def figures_of(*, rows: int, sensors: int = 50) -> dict[str, object]:
    clean = CleanEpisodes(np.asarray([5.0, 6.0, 8.0]), rows, 4.0)
    rates = fit_alarm_rates(
        clean, prior_scale=1.0, cadence=600e6, sensors=sensors, alarm_settings=AlarmSettings()
    )
    return alarm_figures(rates, clean, sensors)


def test_the_text_says_how_many_false_alarms_to_expect() -> None:
    assert expectation_text(figures_of(rows=50_400)) == (
        "50 sensors, a row in 10 min: about one critical false alarm in 2 days (0.5 a day), "
        "1.5 a day that are major or critical, 5 a day of at least warning"
    )


def test_the_critical_alarms_of_a_large_fleet_are_limited_in_total() -> None:
    assert "about 2 critical false alarms a day (2 a day)" in expectation_text(
        figures_of(rows=50_400, sensors=3_000)
    )


def test_a_budget_far_below_the_measured_rates_gives_a_warning() -> None:
    assert list(extrapolation_warnings(figures_of(rows=50_400))) == []
    (warning,) = extrapolation_warnings(figures_of(rows=144 * 5))
    assert "critical: it is extrapolated from 3 clean episodes in 5 sensor-days" in warning
    assert "(wanted 10 sensor-days)" in warning


def alarms_with(*, critical: int, sensor_days: float) -> CleanAlarms:
    return CleanAlarms(np.full(critical, 0.005), sensor_days)


def test_the_bound_of_a_count_is_that_of_the_poisson_distribution() -> None:
    assert lower_bound(0) == 0.0
    assert lower_bound(10) == pytest.approx(5.4254, abs=1e-3)  # Garwood 1936


def test_a_budget_fails_only_if_the_lower_bound_of_the_rate_is_above_twice_the_budget() -> None:
    at_the_limit, above = (
        budget_checks(alarms_with(critical=count, sensor_days=500.0), BUDGETS)[2]
        for count in (15, 16)
    )

    assert at_the_limit.name == above.name == "alarms.budget.critical"
    assert at_the_limit.passed
    assert not above.passed
    assert lower_bound(15) <= 10.0 < lower_bound(16)


def test_a_budget_with_fewer_than_one_expected_episode_is_not_testable() -> None:
    warning, _, critical = budget_checks(alarms_with(critical=40, sensor_days=30.0), BUDGETS)

    assert not warning.passed
    assert critical.passed
    assert critical.observed == "not testable: 0.3 expected, 40 found"


def a_plan() -> AlarmPlan:
    cases = (
        PlannedCase(FaultCase(FaultKind.SPIKE, 4.0), np.asarray([0.5, 0.02, np.inf, np.inf])),
        PlannedCase(FaultCase(FaultKind.SPIKE, 8.0), np.asarray([0.005, 0.0])),
        PlannedCase(FaultCase(FaultKind.STUCK, 0.0), np.asarray([0.2])),
    )
    return AlarmPlan(cases, CleanAlarms(np.asarray([0.2]), 10.0), BUDGETS)


def test_a_fault_is_found_with_each_budget_that_its_alarm_does_not_exceed() -> None:
    spike = a_plan().cases[0]

    assert [spike.share_found(budget) for budget in (1.0, 0.1, 0.01)] == [0.5, 0.25, 0.0]


def test_the_budgets_of_the_severities_are_among_those_of_the_plan() -> None:
    plan = replace(a_plan(), severity_budgets=(0.2, 0.03, 0.0007))

    assert {0.2, 0.03, 0.0007} < set(plan.budgets)
    assert list(plan.budgets) == sorted(plan.budgets, reverse=True)


def test_the_plot_has_a_panel_for_each_kind_and_a_line_for_each_size() -> None:
    root = ElementTree.fromstring(plan_drawing(a_plan()))

    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    lines = [element for element in root.iter() if element.tag.endswith("polyline")]
    assert {"spike", "stuck"} <= set(texts)
    assert len(lines) == 3


def test_alarms_plan_prints_the_share_of_faults_found_and_draws_it(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "rows.csv"
    write_rows(data, simulated_readings(2_000))

    assert run(app, ["plan", "--data", str(data), "--out", str(tmp_path / "plan.svg")]) == 0

    output = capfd.readouterr().out
    assert "level_shift" in output
    assert "false alarms on clean rows" in output
    assert (tmp_path / "plan.svg").read_text().startswith("<svg")
