"""Texts about the false alarms that a model is expected to raise."""

from collections.abc import Iterator, Sequence
from typing import Any

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.rows.durations import duration_text
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.trainer.alarm_fitting import CleanEpisodes, expected_alarms, rows_per_day

MIN_EXPECTED_EPISODES = 0.1
"""If a budget permits fewer false episodes than this among the clean rows, its score is
extrapolated far: the budget is then far below all measured rates."""
ALARM_SEVERITIES = (Severity.WARNING, Severity.MAJOR, Severity.CRITICAL)
"""The severities with a budget, in the order of `AlarmRates.budgets`."""


def alarm_figures(rates: AlarmRates, clean: CleanEpisodes, sensors: int) -> dict[str, Any]:
    """Return the fitted rates as plain values for the manifest.

    `expected_per_day` has the false alarms per day of all sensors together, by severity. The number
    for a severity includes the severities above it.
    """
    return {
        "sensors": sensors,
        "cadence_seconds": rates.cadence / 1e6,
        "clean_rows": clean.rows,
        "clean_episodes": len(clean.peaks),
        "tail": {
            "start": rates.start,
            "episodes_per_row": rates.rate,
            "scale": rates.scale,
            "shape": rates.shape,
        },
        "budgets": rates.budgets.tolist(),
        "expected_per_day": expected_alarms(rates, sensors),
    }


def expectation_text(figures: dict[str, Any]) -> str:
    """Return a sentence with the expected false alarms; `figures`: see `alarm_figures`."""
    expected = figures["expected_per_day"]
    critical = expected[Severity.CRITICAL]
    sensors = "1 sensor" if figures["sensors"] == 1 else f"{figures['sensors']} sensors"
    return (
        f"{sensors}, a row in {duration_text(figures['cadence_seconds'])}: "
        f"about {_frequency_text(critical)} ({critical:.2g} a day), "
        f"{expected[Severity.MAJOR]:.2g} a day that are major or critical, "
        f"{expected[Severity.WARNING]:.2g} a day of at least warning"
    )


def extrapolation_warnings(figures: dict[str, Any]) -> Iterator[str]:
    """Yield a warning for each severity whose budget is far below the measured rates."""
    sensor_days = figures["clean_rows"] / rows_per_day(figures["cadence_seconds"] * 1e6)
    for severity, budget in zip(ALARM_SEVERITIES, figures["budgets"], strict=True):
        expected = budget * sensor_days
        if expected < MIN_EXPECTED_EPISODES:
            yield (
                f"few rows for the budget of {severity}: it is extrapolated from "
                f"{figures['clean_episodes']} clean episodes in {sensor_days:.3g} sensor-days, of "
                f"which {expected:.2g} are expected to be {severity}, so the rate of false "
                f"{severity} alarms is only approximate "
                f"(wanted {MIN_EXPECTED_EPISODES / budget:.3g} sensor-days)"
            )


def _frequency_text(per_day: float) -> str:
    if per_day >= 1.0:
        return f"{per_day:.2g} critical false alarms a day"
    return f"one critical false alarm in {_plural(1.0 / per_day, 'day')}"


def _plural(count: float, unit: str) -> str:
    text = f"{count:.0f}" if count >= 10 else f"{count:.2g}"
    return f"{text} {unit}" if text == "1" else f"{text} {unit}s"


def budget_names(budgets: Sequence[float]) -> dict[float, str]:
    """Return, for each budget, the names of the severities with this budget."""
    names: dict[float, str] = {}
    for severity, budget in zip(ALARM_SEVERITIES, budgets, strict=True):
        names[budget] = f"{names[budget]}, {severity}" if budget in names else str(severity)
    return names
