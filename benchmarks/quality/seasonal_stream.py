"""Measure whether detectors find values that are normal only at another hour of the day."""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.backtest_runs import JudgedRows, RecordStream, backtest
from benchmarks.quality.compared_detectors import DEFAULT_NAME, ComparedDetector
from benchmarks.quality.sensor_grid import SensorGrid
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer import season_cycles as season

ROWS_PER_DAY = (24, 48, 288)
SEED_COUNT = 6
TRAIN_DAYS, CLEAN_DAYS, FAULTY_DAYS = 20, 60, 60
DAYS_BETWEEN_FAULTS = 3
"""Number of days between faults; the sensor's level and tail recover in this time."""
SHARP_HOUR = 8
SHARP_HOUR_HEIGHT = 25.0
"""Value that is added in the sharp hour, in standard deviations of a row's innovation."""
AR_COEFFICIENT = 0.5
_HOURS = 24


@dataclass(frozen=True, slots=True)
class SharpHourStream:
    """A stream and its faulty hours; hours are counted from the first judged row."""

    rows_per_day: int
    stream: RecordStream
    wrong_hours: NDArray[np.int64]
    """Faulty usual hours: their values are as high as in the sharp hour."""
    missing_hours: NDArray[np.int64]
    """Faulty sharp hours: their values are as low as in the usual hours."""


def load_streams(*, seeds: int = SEED_COUNT) -> list[SharpHourStream]:
    """Return one stream for each combination of row interval and seed."""
    return [
        draw_stream(rows_per_day, seed) for rows_per_day in ROWS_PER_DAY for seed in range(seeds)
    ]


def draw_stream(rows_per_day: int, seed: int) -> SharpHourStream:
    """Return an AR(1) stream of one sensor whose values are high in one hour of every day."""
    rng = np.random.default_rng([seed, rows_per_day])
    days = TRAIN_DAYS + CLEAN_DAYS + FAULTY_DAYS
    values = rng.standard_normal(days * rows_per_day)
    for row in range(1, len(values)):
        values[row] += AR_COEFFICIENT * values[row - 1]
    hours = values.reshape(days * _HOURS, -1)
    hours[SHARP_HOUR::_HOURS] += SHARP_HOUR_HEIGHT
    first_days = np.arange(CLEAN_DAYS, CLEAN_DAYS + FAULTY_DAYS - 1, DAYS_BETWEEN_FAULTS)
    other_hours = rng.integers(SHARP_HOUR + 3, _HOURS + SHARP_HOUR - 2, len(first_days)) % _HOURS
    wrong_hours = first_days * _HOURS + other_hours
    missing_hours = (first_days + 1) * _HOURS + SHARP_HOUR
    hours[TRAIN_DAYS * _HOURS + wrong_hours] += SHARP_HOUR_HEIGHT
    hours[TRAIN_DAYS * _HOURS + missing_hours] -= SHARP_HOUR_HEIGHT
    grid = SensorGrid(
        f"{rows_per_day} rows a day, {seed}",
        values.reshape(-1, 1, 1),
        TRAIN_DAYS * rows_per_day,
        _HOURS * 60 // rows_per_day,
    )
    return SharpHourStream(rows_per_day, grid.stream(), wrong_hours, missing_hours)


def detector_without_season() -> ComparedDetector:
    """Return the default detector without a seasonal model."""
    return ComparedDetector(f"{DEFAULT_NAME}, without a season", _backtest_without_season)


def _backtest_without_season(stream: RecordStream) -> JudgedRows:
    # There is no setting for this, because only this benchmark needs a detector without a season.
    with patch.object(season, "MIN_CYCLES", 10**9):
        return backtest(stream, TrainerSettings())


def table(
    streams: Sequence[SharpHourStream], detectors: Sequence[ComparedDetector], processes: int
) -> Table:
    """Return a table of every detector's results on all streams."""
    table_rows = []
    for detector in detectors:
        results = detector.fit_and_score_all(
            [sharp_stream.stream for sharp_stream in streams], processes=processes
        )
        cells = [
            _cell_text(
                [
                    judged_stream
                    for judged_stream in zip(streams, results, strict=True)
                    if judged_stream[0].rows_per_day == rows_per_day
                ]
            )
            for rows_per_day in ROWS_PER_DAY
        ]
        table_rows.append((detector.name, *cells))
    return Table(
        "One sharp hour per day: wrong hours found / missing hours found / alert rate",
        ("", *(f"{rows_per_day} rows per day" for rows_per_day in ROWS_PER_DAY)),
        table_rows,
        f"The detectors are trained on {TRAIN_DAYS} days. An hour is found if it has an alarm. The "
        f"alert rate is the share of rows with an alarm on {CLEAN_DAYS} clean days. Each column "
        f"has {len(streams) // len(ROWS_PER_DAY)} streams.",
    )


def _cell_text(judged_streams: Sequence[tuple[SharpHourStream, JudgedRows]]) -> str:
    alarm_shares = [
        _alarm_shares(sharp_stream, results) for sharp_stream, results in judged_streams
    ]
    wrong_hours, missing_hours, rate = np.mean(alarm_shares, axis=0)
    return f"{100 * wrong_hours:.0f} / {100 * missing_hours:.0f} / {100 * rate:.2f} %"


def _alarm_shares(sharp_stream: SharpHourStream, results: JudgedRows) -> tuple[float, float, float]:
    is_anomaly_by_hour = results.is_anomaly.reshape(-1, sharp_stream.rows_per_day // _HOURS)
    alarmed: NDArray[np.bool_] = np.any(is_anomaly_by_hour, axis=1)
    return (
        float(alarmed[sharp_stream.wrong_hours].mean()),
        float(alarmed[sharp_stream.missing_hours].mean()),
        float(is_anomaly_by_hour[: CLEAN_DAYS * _HOURS].mean()),
    )
