"""Run the check `stability.seeds` of `evaluate` on clean simulated fleets of several sizes."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.quality.alarms.sensor_rows import simulated_rows
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.dataset import sort_by_time
from sensorwatch.trainer.stability import Rate, seed_rates, tolerance

ROWS_OF_SENSOR = 432
"""Rows of three days, with one row per 10 minutes."""
INTERVAL_SECONDS = 600
SENSORS = (20, 50, 200, 1_000, 3_000)
QUICK_SENSORS = (20, 1_000)


@dataclass(frozen=True, slots=True)
class SeedCheck:
    """The alert rates of refits with several seeds on one fleet."""

    sensors: int
    seed: int
    """Seed of the simulated rows."""
    rates: list[Rate]

    @property
    def is_passed(self) -> bool:
        """Return whether each rate is within its bounds."""
        return all(rate.is_within_bounds for rate in self.rates)


def measure(sensors: int, *, seed: int = 0) -> SeedCheck:
    """Simulate a clean fleet, refit on its older rows, and score its newer rows."""
    settings = TrainerSettings()
    rows = simulated_rows(
        sensors=sensors,
        steps=ROWS_OF_SENSOR,
        train_steps=ROWS_OF_SENSOR,
        interval_seconds=INTERVAL_SECONDS,
        seed=seed,
    )
    readings = sort_by_time(rows.readings)
    rates = seed_rates(readings, rows.schema, settings, settings.target_alert_rate)
    return SeedCheck(sensors, seed, rates)


def table(checks: Sequence[SeedCheck]) -> Table:
    """Return the table of all checks."""
    return Table(
        "The check `stability.seeds` of `evaluate` on clean simulated fleets",
        ("sensors", "data seed", "passed", "alert rates of the refits", "wanted"),
        [
            (
                f"{check.sensors:,}",
                str(check.seed),
                "yes" if check.is_passed else "no",
                ", ".join(f"{rate.rate:.5f}" for rate in check.rates),
                f"{check.rates[0].lowest:.5f} to {check.rates[0].highest:.5f}",
            )
            for check in checks
        ],
        f"{ROWS_OF_SENSOR} rows of each sensor, a row in 10 minutes. Wanted: {tolerance()}.",
    )
