"""Small trained models and the readings that they were trained on."""

from collections.abc import Callable, Sequence
from functools import cache
from math import isnan
from pathlib import Path

import numpy as np
from sklearn.ensemble import IsolationForest

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.model.calibration import calibrate
from sensorwatch.common.model.forest import forest_from_sklearn, score
from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.model.plan import plain_plan
from sensorwatch.common.model.signal_ranges import learn_signal_ranges
from sensorwatch.common.registry.candidate import Candidate, DataSource
from sensorwatch.common.rows.cells import cell_reader
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.features import compute_features

DEFAULT_SCHEMA = Path(__file__).parents[1] / "schemas" / "default.toml"
START_TIME = 1_735_689_600_000_000
"""The time 2025-01-01T00:00:00Z, in microseconds since 1970."""
MINUTE_MICROSECONDS = 60_000_000
NORMAL_VALUES = (0.0, 0.0, 0.0)
"""The values of x1, x2 and x3 of a row that `a_detector` always scores as normal."""
ANOMALOUS_VALUES = (9.0, 9.0, 9.0)
"""The values of x1, x2 and x3 of a row that `a_detector` always scores as anomalous."""


@cache
def a_schema() -> Schema:
    """Return the default schema, with the signals x1, x2 and x3."""
    return load_schema(DEFAULT_SCHEMA)


def row_reader(schema: Schema, header: Sequence[str]) -> Callable[[Sequence[str]], Fields | Fault]:
    """Return `cell_reader(schema, header)` for lines that are rows, and not a header or comment."""
    read_cells = cell_reader(schema, header)

    def read_row(cells: Sequence[str]) -> Fields | Fault:
        row = read_cells(cells)
        assert row is not None
        return row

    return read_row


def some_readings(
    rows: int = 400, *, seed: int = 7, sensors: int = 2, signals: int = 3
) -> Readings:
    """Return normal readings: one row per minute, from all sensors in turn.

    The signals have mean 0 and standard deviation 1.
    """
    random = np.random.default_rng(seed)
    return Readings(
        np.arange(rows, dtype=np.int64),
        START_TIME + MINUTE_MICROSECONDS * np.arange(rows, dtype=np.int64),
        (np.arange(rows) % sensors).astype(np.int32),
        tuple(f"s{sensor_number}" for sensor_number in range(sensors)),
        random.normal(size=(rows, signals)),
        np.empty((rows, 0)),
    )


def some_alarm_rates(*, start: float = 0.5, scale: float = 0.05) -> AlarmRates:
    """Return rates at which a sensor with a row a minute has one false episode a day at `start`."""
    return AlarmRates(
        start, 1 / 1_440, scale, 0.0, float(MINUTE_MICROSECONDS), np.asarray([0.1, 0.03, 0.01])
    )


@cache
def a_candidate(*, seed: int = 7, rows: int = 400, trees: int = 20) -> Candidate:
    """Return a small candidate for `a_schema`, trained on `some_readings(rows, seed=seed)`."""
    schema = a_schema()
    readings = some_readings(rows, seed=seed, signals=len(schema.signals))
    plan = plain_plan(schema)
    features = compute_features(readings, plan)
    fit_rows = rows * 7 // 10
    estimator = IsolationForest(n_estimators=trees, max_samples=64, random_state=seed)
    estimator.fit(features[:fit_rows])
    forest = forest_from_sklearn(estimator)
    golden_rows = np.linspace(fit_rows, rows - 1, min(50, rows - fit_rows)).astype(np.int64)
    return Candidate(
        schema=schema,
        plan=plan,
        levels=no_levels(np.zeros(len(schema.signals))),
        forest=forest,
        calibration=calibrate(score(forest, features[fit_rows:]), 0.02),
        ranges=learn_signal_ranges(readings),
        alarm_rates=some_alarm_rates(),
        estimator=estimator,
        parameters={"trees": trees, "max_samples": 64, "target_alert_rate": 0.02},
        seed=seed,
        data_source=DataSource(
            uri="some_readings",
            sha256="0" * 64,
            first_time=int(readings.event_time[0]),
            last_time=int(readings.event_time[-1]),
            rows=rows,
        ),
        split={
            "fit_rows": fit_rows,
            "calibration_rows": rows - fit_rows,
            "boundary_time": int(readings.event_time[fit_rows]),
        },
        golden=readings.take(golden_rows),
    )


def a_detector(version: str = "default-0001-00000000", *, seed: int = 7) -> Detector:
    """Return the detector of `a_candidate(seed=seed)`, for NORMAL_VALUES and ANOMALOUS_VALUES."""
    return a_candidate(seed=seed).detector(version)


def row_values(readings: Readings) -> list[tuple[int, str, list[float | None]]]:
    """Return time in microseconds, sensor and values of each reading; None if one is missing."""
    return [
        (time, readings.sensor_ids[sensor], [None if isnan(value) else value for value in values])
        for time, sensor, values in zip(
            readings.event_time.tolist(),
            readings.sensor.tolist(),
            readings.values.tolist(),
            strict=True,
        )
    ]
