"""Tests of the clean streams, and of the counts of their false alarms."""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks.quality.alarms import budget_rates
from benchmarks.quality.alarms.budget_rates import RealisedRate, configured_rates, pooled, table
from benchmarks.quality.alarms.budget_streams import BudgetStream, clean_rows
from benchmarks.quality.alarms.scored_rows import LEVELS
from benchmarks.quality.alarms.sensor_rows import SensorRows


def a_rate(*, episodes: int, sensor_days: float, interval_seconds: int = 60) -> RealisedRate:
    """Return a rate with the same number of episodes of each severity."""
    return RealisedRate(
        "plain", interval_seconds, sensor_days, dict.fromkeys(LEVELS, episodes), 0.01
    )


def some_rows(kind: BudgetStream, *, seed: int = 0) -> SensorRows:
    """Return rows of three sensors for two days, with one row per 10 minutes."""
    return clean_rows(kind, seed=seed, sensors=3, train_days=1, judged_days=1, interval_seconds=600)


@pytest.mark.parametrize("kind", BudgetStream)
def test_a_clean_stream_is_finite_and_depends_only_on_its_seed(kind: BudgetStream) -> None:
    rows, same_rows, other_rows = some_rows(kind), some_rows(kind), some_rows(kind, seed=1)

    values = rows.readings.values
    assert np.isfinite(values).all()
    assert values.tobytes() == same_rows.readings.values.tobytes()
    assert values.tobytes() != other_rows.readings.values.tobytes()
    assert rows.train_rows == len(rows.judged) == 3 * 144
    assert rows.judged_sensor_days == 3.0


def test_commands_are_context_columns_with_two_states() -> None:
    rows = some_rows(BudgetStream.COMMANDS)

    assert rows.readings.context.shape == (2 * 3 * 144, 24)
    assert set(np.unique(rows.readings.context).tolist()) == {0.0, 1.0}
    assert len(rows.schema.context_names) == 24


def test_a_ratio_is_given_only_if_enough_alarms_are_expected() -> None:
    cells = table([a_rate(episodes=90, sensor_days=300)], {"warning": 0.1, "critical": 0.01}).rows[
        0
    ]

    by_level = dict(zip(LEVELS, cells[3:7], strict=True))
    assert by_level == {
        "any": "0.300",
        "warning": "0.300 (3.00) !",
        "major": "0.300",
        "critical": "0.300 (3.0 expected)",
    }


@pytest.mark.parametrize(
    "budget",
    [{"warning": 0.1, "critical": None}, SimpleNamespace(warning=0.1, critical=None)],
    ids=["table", "object"],
)
def test_the_budget_comes_from_the_settings_of_alarms(
    budget: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    alarm_settings = SimpleNamespace(false_alarms_per_sensor_day=budget)
    monkeypatch.setattr(budget_rates, "Settings", lambda: SimpleNamespace(alarms=alarm_settings))

    assert configured_rates() == {"warning": 0.1}


def test_settings_without_a_budget_configure_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(budget_rates, "Settings", SimpleNamespace)

    assert configured_rates() == {}


def test_pooling_adds_the_streams_of_a_cadence() -> None:
    rates = [
        a_rate(episodes=3, sensor_days=10),
        a_rate(episodes=5, sensor_days=30),
        a_rate(episodes=7, sensor_days=1, interval_seconds=600),
    ]

    (rate,) = pooled(rates)

    assert (rate.interval_seconds, rate.sensor_days, rate.episodes["any"]) == (60, 40, 8)
    assert rate.rate("major") == 0.2
    assert rate.rows_alarmed == pytest.approx(0.01)
