"""A season in civil time raises no alarms at a change of daylight saving."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.model.civil_clock import civil_clock
from sensorwatch.common.model.season import DAY
from sensorwatch.common.rows.field_declarations import NumericColumn, TimeField
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import SeasonSettings, TrainerSettings
from sensorwatch.trainer.season_text import season_zone
from sensorwatch.trainer.training import fit_unregistered

BERLIN = "Europe/Berlin"
FIT_DAYS, LATER_DAYS, ROWS_A_DAY = 14, 4, 24


def hall_readings(change: datetime) -> Readings:
    """Return rows, up to LATER_DAYS after a change, of a hall heated at fixed civil times."""
    start = int(change.timestamp()) * 1_000_000 - FIT_DAYS * DAY
    times = start + DAY // ROWS_A_DAY * np.arange((FIT_DAYS + LATER_DAYS) * ROWS_A_DAY)
    day_share = civil_clock(BERLIN).local_time(times) % DAY / DAY
    is_heated = (day_share >= 6 / 24) & (day_share < 18 / 24)
    noise = np.random.default_rng(8).normal(scale=0.4, size=len(times))
    values = (15.0 + 8.0 * is_heated + noise)[:, np.newaxis]
    n = len(times)
    return Readings(
        np.arange(n), times, np.zeros(n, dtype=np.int32), ("hall",), values, np.empty((n, 0))
    )


def alarms_after_change(change: datetime, zone: str) -> int:
    """Train on the days before the change; return the number of anomalous rows after the change."""
    schema = Schema(signals=(NumericColumn(name="x1"),))
    settings = TrainerSettings(trees=5, season=SeasonSettings(zone=zone))
    readings, fit_rows = hall_readings(change), FIT_DAYS * ROWS_A_DAY
    detector = fit_unregistered(readings.take(slice(None, fit_rows)), schema, settings)
    result = detector.detect(readings, detector.empty_memory(), positions=readings.index)
    is_anomaly: NDArray[np.bool_] = result.detections.is_anomaly
    return int(is_anomaly[fit_rows:].sum())


@pytest.mark.parametrize(
    "change", [datetime(2025, 10, 26, 1, tzinfo=UTC), datetime(2026, 3, 29, 1, tzinfo=UTC)]
)
def test_only_a_season_in_utc_raises_alarms_after_a_change_of_daylight_saving(
    change: datetime,
) -> None:
    assert alarms_after_change(change, "") >= LATER_DAYS
    assert alarms_after_change(change, BERLIN) == 0


def test_the_zone_is_from_the_settings_else_from_the_schema_else_utc() -> None:
    utc_schema = Schema(signals=(NumericColumn(name="x1"),))
    local_schema = utc_schema.model_copy(update={"time": TimeField(naive_zone=BERLIN)})
    settings_for_oslo = TrainerSettings(season=SeasonSettings(zone="Europe/Oslo"))

    assert season_zone(utc_schema, TrainerSettings()) == "UTC"
    assert season_zone(local_schema, TrainerSettings()) == BERLIN
    assert season_zone(local_schema, settings_for_oslo) == "Europe/Oslo"
