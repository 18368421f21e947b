"""Training prints which season it uses, or why it uses none, with figures."""

import numpy as np
import pytest

from sensorwatch.common.model.civil_clock import civil_clock
from sensorwatch.common.model.season import DAY
from sensorwatch.trainer.season_fitting import fit_season
from sensorwatch.trainer.season_text import season_sentence

HOUR = DAY // 24
MONDAY = 4 * DAY


def sentence_for(days: float, peak: float, *, seed: int = 1, step: int = HOUR) -> str:
    times = MONDAY + np.arange(0, round(days * DAY), step, dtype=np.int64)
    residuals = np.random.default_rng(seed).normal(size=(len(times), 2))
    residuals[:, 1] += peak * (times // HOUR % 24 < 12)
    fit = fit_season(residuals, times, step, civil_clock("Europe/Berlin"))
    return season_sentence(fit, ["x1", "x2"], "Europe/Berlin", quantity="variance")


def test_a_season_is_named_with_its_share_and_its_zone() -> None:
    text = sentence_for(10, 4.0)

    assert text.startswith("of a day, explains ")
    assert text.endswith("% of x2's variance, in Europe/Berlin")


def test_too_few_days_are_named_with_the_days_needed() -> None:
    assert sentence_for(2, 4.0).startswith("none: the rows span 2.1 days, a daily season needs 3")


def test_a_cycle_that_explains_too_little_is_named_with_its_share() -> None:
    text = sentence_for(5, 0.0)

    assert text.startswith("none: 5.1 days of rows (3 needed), but a cycle of a day explains ")
    assert "at most (5% needed)" in text
    assert text.endswith("a weekly season needs 3 weeks")


def test_rows_that_are_far_apart_are_named_with_their_distance() -> None:
    assert "one row in 5.0 hours" in sentence_for(9, 4.0, step=5 * HOUR)


@pytest.mark.parametrize("seed", range(3))
def test_an_unsteady_share_is_named_with_its_standard_errors(seed: int) -> None:
    times = MONDAY + np.arange(0, 4 * DAY, HOUR, dtype=np.int64)
    residuals = np.random.default_rng(seed).normal(size=(len(times), 1))
    residuals[:, 0] += 3.0 * (times // HOUR % 24 < 12) * np.where(times // DAY % 4 == 1, -2.0, 1.0)
    fit = fit_season(residuals, times, HOUR)

    assert not fit.season.is_present
    assert "needed" in season_sentence(fit, ["x1"], "UTC", quantity="variance")
