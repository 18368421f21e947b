"""One signal with one sharp hour a day: whether a value at the wrong hour is found."""

from collections.abc import Sequence
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.backtest_runs import Judged, Stream, backtest
from benchmarks.quality.compared_detectors import OURS, Contestant
from benchmarks.quality.sensor_grid import Grid
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer import season_fitting as season

PER_DAY = (24, 48, 288)
SEEDS = 6
TRAIN_DAYS, CLEAN_DAYS, FAULTY_DAYS = 20, 60, 60
FAULT_EVERY = 3
"""Days; the location and the sensor's own tail have time to come back."""
SHARP_HOUR = 8
HEIGHT = 25.0
"""Of the sharp hour, in standard deviations of what is new in a row."""
PERSISTENCE = 0.5
_HOURS = 24


@dataclass(frozen=True, slots=True)
class Sharp:
    """A stream with what is wrong with it, by hours since the first judged row."""

    per_day: int
    stream: Stream
    wrong: NDArray[np.int64]
    """Hours that look like the sharp one."""
    missing: NDArray[np.int64]
    """Sharp hours that look like any other."""


def load(*, seeds: int = SEEDS) -> list[Sharp]:
    """Draw the streams."""
    return [draw(per_day, seed) for per_day in PER_DAY for seed in range(seeds)]


def draw(per_day: int, seed: int) -> Sharp:
    """Draw a stream of one sensor: AR(1), and every day the sharp hour."""
    rng = np.random.default_rng([seed, per_day])
    days = TRAIN_DAYS + CLEAN_DAYS + FAULTY_DAYS
    values = rng.standard_normal(days * per_day)
    for row in range(1, len(values)):
        values[row] += PERSISTENCE * values[row - 1]
    hours = values.reshape(days * _HOURS, -1)
    hours[SHARP_HOUR::_HOURS] += HEIGHT
    first = np.arange(CLEAN_DAYS, CLEAN_DAYS + FAULTY_DAYS - 1, FAULT_EVERY)
    others = rng.integers(SHARP_HOUR + 3, _HOURS + SHARP_HOUR - 2, len(first)) % _HOURS
    wrong = first * _HOURS + others
    missing = (first + 1) * _HOURS + SHARP_HOUR
    hours[TRAIN_DAYS * _HOURS + wrong] += HEIGHT
    hours[TRAIN_DAYS * _HOURS + missing] -= HEIGHT
    grid = Grid(
        f"{per_day} rows a day, {seed}",
        values.reshape(-1, 1, 1),
        TRAIN_DAYS * per_day,
        _HOURS * 60 // per_day,
    )
    return Sharp(per_day, grid.stream(), wrong, missing)


def without_season() -> Contestant:
    """Return the default detector that never sees a season."""
    return Contestant(f"{OURS}, without a season", _without_season)


def _without_season(stream: Stream) -> Judged:
    # No setting: who would want to switch it off has no reason to, but for measuring.
    with patch.object(season, "LEAST_CYCLES", 10**9):
        return backtest(stream, TrainerSettings())


def table(sharps: Sequence[Sharp], contestants: Sequence[Contestant], processes: int) -> Table:
    """Measure every contestant on every stream."""
    lines = []
    for one in contestants:
        judged = one.over([sharp.stream for sharp in sharps], processes=processes)
        cells = [
            _cell([pair for pair in zip(sharps, judged, strict=True) if pair[0].per_day == per_day])
            for per_day in PER_DAY
        ]
        lines.append((one.name, *cells))
    return Table(
        "One signal, one sharp hour a day: found at the wrong hour / missing / alert rate",
        ("", *(f"{per_day} rows a day" for per_day in PER_DAY)),
        lines,
        f"Trained on {TRAIN_DAYS} days. Found: an alarm in the hour. Alert rate: alarmed share of "
        f"{CLEAN_DAYS} clean days. {len(sharps) // len(PER_DAY)} streams each.",
    )


def _cell(pairs: Sequence[tuple[Sharp, Judged]]) -> str:
    found = [_alarmed(sharp, judged) for sharp, judged in pairs]
    wrong, missing, rate = np.mean(found, axis=0)
    return f"{100 * wrong:.0f} / {100 * missing:.0f} / {100 * rate:.2f} %"


def _alarmed(sharp: Sharp, judged: Judged) -> tuple[float, float, float]:
    by_hour = judged.is_anomaly.reshape(-1, sharp.per_day // _HOURS)
    alarmed: NDArray[np.bool_] = np.any(by_hour, axis=1)
    return (
        float(alarmed[sharp.wrong].mean()),
        float(alarmed[sharp.missing].mean()),
        float(by_hour[: CLEAN_DAYS * _HOURS].mean()),
    )
