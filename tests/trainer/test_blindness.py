"""Training warns of the signals in which its model misses large faults."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.rows.readings import Readings
from sensorwatch.trainer.blindness import blind_signals, blindness_warning
from sensorwatch.trainer.training import train
from tests.reading_builders import a_schema
from tests.trainer.training_builders import (
    PLAIN_SETTINGS,
    TRAINER_SETTINGS,
    a_dataset,
    a_trained_candidate,
    simulated_readings,
)


def readings_with(value: float, *, share: float) -> Readings:
    """Return simulated readings in which a share of the x1 values is `value`."""
    readings = simulated_readings()
    values = readings.values.copy()
    values[np.random.default_rng(0).random(len(values)) < share, 0] = value
    return replace(readings, values=values)


def test_a_model_of_clean_rows_is_blind_in_no_signal() -> None:
    assert blind_signals(a_trained_candidate(), simulated_readings()) == {}


def test_a_number_that_means_a_missing_value_makes_a_model_blind_in_its_signal() -> None:
    readings = readings_with(-200.0, share=0.05)
    source = a_dataset(readings).source
    candidate = train(readings, a_schema(), source, TRAINER_SETTINGS)

    blind = blind_signals(candidate, readings)

    assert list(blind) == ["x1"]
    assert blind["x1"] < 0.5
    warning = blindness_warning(blind)
    assert "x1 (0% found)" in warning
    assert "missing_values" in warning


def test_a_plain_model_is_not_judged() -> None:
    assert blind_signals(a_trained_candidate(PLAIN_SETTINGS), simulated_readings()) == {}


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_the_warning_states_the_share_of_each_signal(share: float) -> None:
    assert f"x2 ({share:.0%} found)" in blindness_warning({"x2": share})
