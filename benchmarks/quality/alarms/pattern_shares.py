"""Measure how often an alarm has the pattern and the first signal of the injected fault."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.figures import percent
from benchmarks.quality.alarms.fleet_simulation import clean_fleet
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.attribution import attribute_rows
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.patterns import PATTERNS, Pattern
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.simulation.faults import EPISODE_LENGTHS, FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.trainer.unregistered_model import fit_with_memory

SENSORS = 30
FIRST_STEP, ROWS_BETWEEN_FAULTS, MAX_DELAY = 150, 250, 50
"""In rows: first step with a fault, distance between the faults of a sensor, largest random
delay."""
CASES = (
    (FaultKind.SPIKE, Pattern.SPIKE, 6.0),
    (FaultKind.LEVEL_SHIFT, Pattern.LEVEL_SHIFT, 6.0),
    (FaultKind.DRIFT, Pattern.DRIFT, 6.0),
    (FaultKind.NOISE_BURST, Pattern.NOISE, 6.0),
    (FaultKind.STUCK, Pattern.STUCK, 6.0),
    (FaultKind.BROKEN_CORRELATION, Pattern.BROKEN_CORRELATION, 6.0),
    (FaultKind.BROKEN_CORRELATION, Pattern.BROKEN_CORRELATION, 1.0),
)
"""Each case: kind of fault, right pattern, and size in standard deviations of the noise."""


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault in one signal of one sensor."""

    sensor: int
    first_step: int
    length: int
    signal: int


@dataclass(frozen=True, slots=True)
class PatternShares:
    """Results of one case of CASES with one seed, as shares of the found faults."""

    share_found: float
    """Share of all faults with an anomalous row."""
    pattern_at_end: float
    pattern_at_peak: float
    first_signal: float


def measure(seed: int) -> list[PatternShares]:
    """Train on the first clean days of a fleet; inject the faults of each case into later rows."""
    fleet = clean_fleet(seed, sensors=SENSORS)
    detector, memory = fit_with_memory(fleet.training, fleet.schema, TrainerSettings())
    judged = fleet.judged
    clean_values = judged.values.reshape(-1, SENSORS, judged.values.shape[1])
    results = []
    for kind, pattern, size in CASES:
        values, faults = _inject(clean_values, kind, size, np.random.default_rng([seed, int(size)]))
        readings = replace(
            judged,
            index=judged.index - judged.index[0],
            values=np.round(values.reshape(judged.values.shape), 6),
        )
        outcome = score_readings(readings, [], detector, deepcopy(memory))
        results.append(_shares(detector, outcome, faults, pattern))
    return results


def table(runs: Sequence[Sequence[PatternShares]]) -> Table:
    """Return one row for each case: mean shares over the seeds (lowest to highest)."""
    rows = [
        (
            f"{kind.value}, {size:g} sigma",
            *(
                percent([getattr(run[case], name) for run in runs])
                for name in ("share_found", "pattern_at_end", "pattern_at_peak", "first_signal")
            ),
        )
        for case, (kind, _, size) in enumerate(CASES)
    ]
    return Table(
        f"Pattern and first signal of the alarms of injected faults, {len(runs)} seeds",
        ("", "found", "pattern right, last row", "at the highest score", "first signal right"),
        rows,
        "Each fault is in one signal of one sensor of the simulated fleet. The longest episode of "
        "a fault is judged: the pattern at its last row and at its row with the highest raw "
        "score, and the signal with the highest attribution at the latter.",
    )


def _inject(
    clean_values: NDArray[np.float64], kind: FaultKind, size: float, rng: np.random.Generator
) -> tuple[NDArray[np.float64], list[InjectedFault]]:
    """Return values (steps, sensors, signals) with faults, and the faults."""
    values, faults, scale = clean_values.copy(), [], noise_scale()
    min_length, max_length = EPISODE_LENGTHS[kind]
    last_start = len(values) - ROWS_BETWEEN_FAULTS
    for first in range(FIRST_STEP, last_start, ROWS_BETWEEN_FAULTS):
        for sensor in range(SENSORS):
            healthy_values = values[:, sensor].copy()
            first_step = first + int(rng.integers(MAX_DELAY))
            length = int(rng.integers(min_length, max_length + 1))
            # For a broken correlation, `inject_fault` selects the signal.
            selects_signal = kind is FaultKind.BROKEN_CORRELATION
            values[:, sensor] = inject_fault(
                healthy_values,
                kind,
                first_row=first_step,
                length=length,
                size=size,
                scale=scale,
                rng=rng,
                signals=None if selects_signal else [int(rng.integers(len(scale)))],
            )
            (signal,) = np.flatnonzero((values[:, sensor] != healthy_values).any(axis=0)).tolist()
            faults.append(InjectedFault(sensor, first_step, length, signal))
    return values, faults


def _shares(
    detector: Detector, outcome: Outcome, faults: Sequence[InjectedFault], pattern: Pattern
) -> PatternShares:
    detections, number = outcome.detections, PATTERNS.index(pattern)
    last_rows, peak_rows, signals = [], [], []
    for fault in faults:
        first_row = fault.first_step * SENSORS + fault.sensor
        rows = np.arange(first_row, first_row + fault.length * SENSORS, SENSORS)
        rows = rows[detections.is_anomaly[rows]]
        if len(rows) == 0:
            continue
        episodes, counts = np.unique(detections.episode[rows], return_counts=True)
        episode_rows = np.flatnonzero(detections.episode == episodes[counts.argmax()])
        last_rows.append(int(episode_rows[-1]))
        peak_rows.append(int(episode_rows[detections.raw_score[episode_rows].argmax()]))
        signals.append(fault.signal)
    first_signal = attribute_rows(detector, outcome, np.asarray(peak_rows)).argmax(axis=1)
    return PatternShares(
        len(last_rows) / len(faults),
        float(np.mean(detections.pattern[last_rows] == number)),
        float(np.mean(detections.pattern[peak_rows] == number)),
        float(np.mean(first_signal == np.asarray(signals))),
    )
