"""Simulate four healthy days and a fault day of three pumps, with one row per 10 seconds."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.episodes import TrueFault
from benchmarks.quality.alarms.sensor_rows import SECOND_US, SensorRows, schema_of
from sensorwatch.common.rows.readings import Readings

PUMPS = 3
SIGNALS = ("bearing_temp_c", "pressure_bar", "flow_m3h", "rpm")
TEMPERATURE, PRESSURE, FLOW, RPM = range(len(SIGNALS))
INTERVAL_SECONDS = 10
STEPS_PER_DAY = 8_640
TRAIN_DAYS = 4
START = 1_772_406_000_000_000
"""2026-03-02T00:00:00 in Amsterdam, microseconds UTC."""
MISSING_SHARE = 0.003
_DECIMALS = 2
_SETPOINT_STEPS = 60
"""Number of steps after which the speed set-point changes to a random value."""

SLOW_RISE, STUCK, SPIKE, SWAPPED = (
    "bearing temperature rises 12 degrees in 6 h",
    "flow stuck",
    "pressure + 2 bar, 3 rows",
    "temperature and flow swapped",
)
FAULTS = (
    (SLOW_RISE, 0, 720, 3_239),
    (STUCK, 1, 3_600, 3_959),
    (SPIKE, 1, 4_680, 4_682),
    (SWAPPED, 0, 6_480, 6_839),
)
"""For each fault: name, pump, first and last step of the fault day."""
_RISE_STEPS, _RISE_DEGREES, _SPIKE_BAR = 2_160, 12.0, 2.0
SILENT_PUMP, SILENT_STEPS = 2, (5_040, 5_760)
"""The pump that sends no rows, the first silent step of the fault day, and the step of its next
row."""


@dataclass(frozen=True, slots=True)
class PumpDay:
    """Four healthy days for training, the fault day that is judged, and its faults."""

    rows: SensorRows
    faults: list[TrueFault]


def pump_day(seed: int) -> PumpDay:
    """Simulate the pumps. The same seed always gives the same rows.

    0.3 % of all cells are missing. The third pump sends no rows for two hours of the fault day.
    """
    rng = np.random.default_rng(seed)
    healthy_days = _with_missing_cells(_healthy_values(TRAIN_DAYS * STEPS_PER_DAY, rng), rng)
    fault_day = _with_faults(_healthy_values(STEPS_PER_DAY, rng))
    is_sent = np.ones((STEPS_PER_DAY, PUMPS), dtype=np.bool_)
    is_sent[slice(*SILENT_STEPS), SILENT_PUMP] = False
    fault_rows = _with_missing_cells(fault_day, rng, is_sent.ravel())
    values = np.concatenate([healthy_days, fault_rows])
    step = np.repeat(np.arange((TRAIN_DAYS + 1) * STEPS_PER_DAY), PUMPS)
    pump = np.tile(np.arange(PUMPS, dtype=np.int32), (TRAIN_DAYS + 1) * STEPS_PER_DAY)
    all_sent = np.concatenate([np.ones(len(healthy_days), dtype=np.bool_), is_sent.ravel()])
    readings = Readings(
        index=np.arange(len(values)),
        event_time=_event_times(step[all_sent]),
        sensor=pump[all_sent],
        sensor_ids=tuple(f"P-10{number + 1}" for number in range(PUMPS)),
        values=values,
        context=np.empty((len(values), 0)),
    )
    rows = SensorRows(
        "pumps",
        schema_of("pumps", SIGNALS, missing="hold_last"),
        readings,
        len(healthy_days),
        INTERVAL_SECONDS,
    )
    first_step = TRAIN_DAYS * STEPS_PER_DAY
    faults = [
        TrueFault(name, pump, *_event_times(first_step + np.array([first, last])).tolist())
        for name, pump, first, last in FAULTS
    ]
    return PumpDay(rows, faults)


def _event_times(step: NDArray[np.int64]) -> NDArray[np.int64]:
    return START + step * np.int64(INTERVAL_SECONDS * SECOND_US)


def _healthy_values(steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return values (steps, pumps, signals) with a daily cycle and steps of the set-point."""
    hour = (np.arange(steps) * INTERVAL_SECONDS / 3600) % 24
    pumps = []
    for pump in range(PUMPS):
        set_point = np.repeat(rng.normal(0, 15, steps // _SETPOINT_STEPS + 1), _SETPOINT_STEPS)
        cycle = 60 * np.sin(2 * np.pi * (hour - 9) / 24)
        rpm = 1450 + cycle + set_point[:steps] + rng.normal(0, 3, steps) + 20 * pump
        temperature_cycle = 2.5 * np.sin(2 * np.pi * (hour - 14) / 24)
        temperature = 48 + 0.02 * (rpm - 1450) + temperature_cycle + rng.normal(0, 0.25, steps)
        pressure = 3.2 + 0.0012 * (rpm - 1450) + rng.normal(0, 0.03, steps)
        flow = 0.08 * rpm + rng.normal(0, 0.6, steps)
        pumps.append(np.stack([temperature + pump, pressure + 0.1 * pump, flow + pump, rpm]))
    return np.moveaxis(np.array(pumps), 2, 0)


def _with_faults(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a day's values (steps, pumps, signals) with the faults of FAULTS."""
    faulty = values.copy()
    rise, stuck, spike, swapped = (
        (pump, slice(first, last + 1)) for _, pump, first, last in FAULTS
    )
    pump, steps = rise
    steps_since_start = np.arange(steps.stop - steps.start)
    faulty[steps, pump, TEMPERATURE] += _RISE_DEGREES * np.clip(
        steps_since_start / _RISE_STEPS, 0, 1
    )
    pump, steps = stuck
    faulty[steps, pump, FLOW] = faulty[steps.start, pump, FLOW]
    pump, steps = spike
    faulty[steps, pump, PRESSURE] += _SPIKE_BAR
    pump, steps = swapped
    faulty[steps, pump] = faulty[steps, pump][:, [FLOW, PRESSURE, TEMPERATURE, RPM]]
    return faulty


def _with_missing_cells(
    values: NDArray[np.float64],
    rng: np.random.Generator,
    is_sent: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """Return the rounded values (rows, signals) of the rows that are sent, some of them missing."""
    rows = values.reshape(-1, len(SIGNALS))
    sent_rows = rows if is_sent is None else rows[is_sent]
    is_missing = rng.random(sent_rows.shape) < MISSING_SHARE
    return np.where(is_missing, np.nan, np.round(sent_rows, _DECIMALS))
