"""Counters: the detector uses the rate per second since the sensor's last value."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import Outcome, process, score_readings
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.model_rows import model_rows
from sensorwatch.trainer.training import fit_unregistered
from tests.detection.detection_streams import detection_bytes, score_in_batches
from tests.reading_builders import MINUTE_MICROSECONDS, START_TIME

SCHEMA = schema_from_plain(
    {
        "key": {"field": "id"},
        "signals": [
            {"name": "energy", "kind": "counter", "missing": "hold_last"},
            {"name": "voltage"},
        ],
    }
)
ENERGY_PER_MINUTE = 60.0
NAN = float("nan")


def meter_readings(energy: list[float], minutes: list[float] | None = None) -> Readings:
    """Return one reading of the sensor s0 per value of the counter."""
    minutes = list(range(len(energy))) if minutes is None else minutes
    voltage = np.random.default_rng(2).normal(230.0, 1.0, len(energy))
    return build_readings(
        index=range(len(energy)),
        event_time=[START_TIME + round(minute * MINUTE_MICROSECONDS) for minute in minutes],
        sensor_ids=["s0"] * len(energy),
        values=np.stack([energy, voltage], axis=1).tolist(),
        signals=2,
    )


def rising_energy(rows: int, seed: int = 1) -> list[float]:
    increments = np.random.default_rng(seed).normal(ENERGY_PER_MINUTE, 2.0, rows)
    energy: list[float] = np.cumsum(increments).tolist()
    return energy


@cache
def a_meter_detector() -> Detector:
    settings = TrainerSettings(trees=10, max_samples=64, min_rows=30)
    return fit_unregistered(meter_readings(rising_energy(600)), SCHEMA, settings)


def score_all(readings: Readings, memory: Memory | None = None) -> Outcome:
    detector = a_meter_detector()
    (outcome,) = score_in_batches(readings, detector, memory or detector.empty_memory())
    return outcome


def rates_of(outcome: Outcome) -> list[float | None]:
    """Return each row's rate of `energy`, or None if the row has no rate."""
    held = outcome.detections.evidence.imputed[:, 0].tolist()
    rates = outcome.readings.values[:, 0].tolist()
    return [None if is_held else rate for rate, is_held in zip(rates, held, strict=True)]


def test_a_row_has_the_rate_per_second_since_the_last_row() -> None:
    assert rates_of(score_all(meter_readings([100, 160, 160, 280]))) == [None, 1.0, 0.0, 2.0]


def test_a_lower_value_is_a_reset_and_has_no_rate() -> None:
    assert rates_of(score_all(meter_readings([100, 160, 30, 90]))) == [None, 1.0, None, 1.0]


def test_a_missing_value_has_no_rate_and_the_next_rate_covers_both_intervals() -> None:
    assert rates_of(score_all(meter_readings([100, 160, NAN, 280]))) == [None, 1.0, None, 1.0]


def test_a_row_after_a_gap_has_no_rate_even_if_its_value_is_missing() -> None:
    after_gap = [0.0, 1.0, 1000.0, 1001.0]

    with_value = score_all(meter_readings([100, 160, 220, 280], after_gap))
    without_value = score_all(meter_readings([100, 160, NAN, 280], after_gap))

    assert with_value.detections.status[2] == STATUSES.index(Status.GAP)
    assert rates_of(with_value) == [None, 1.0, None, 1.0]
    assert rates_of(without_value) == [None, 1.0, None, None]


@pytest.mark.parametrize("minute", [0.5, 1.0])
def test_a_late_or_duplicate_row_has_no_rate_and_changes_nothing(minute: float) -> None:
    outcome = score_all(meter_readings([100, 160, 5000, 220], [0.0, 1.0, minute, 2.0]))

    assert rates_of(outcome) == [None, 1.0, None, 1.0]


def test_a_reset_raises_no_alarm_but_a_wrong_rate_does() -> None:
    energy = rising_energy(120, seed=4)
    after_reset = [value - energy[60] for value in energy]
    with_reset = [*energy[:60], *after_reset[60:]]
    with_leak = [*energy[:60], *(value + 500 for value in energy[60:])]

    assert not score_all(meter_readings(with_reset)).detections.is_anomaly.any()
    assert score_all(meter_readings(with_leak)).detections.is_anomaly[60]


def test_the_rates_do_not_depend_on_how_rows_are_cut_into_micro_batches() -> None:
    energy = [value % 3000 for value in rising_energy(200, seed=5)]
    readings, detector = meter_readings(energy), a_meter_detector()
    memories = [detector.empty_memory() for _ in range(3)]

    results = [
        detection_bytes(score_in_batches(readings, detector, memory, ends))
        for memory, ends in zip(memories, [[], [1, 50, 51, 52, 120], range(1, 200)], strict=True)
    ]

    assert results[0] == results[1] == results[2]
    assert len({memory_to_bytes(memory) for memory in memories}) == 1


def test_training_uses_the_rates_that_the_detector_uses() -> None:
    energy = [value % 3000 for value in rising_energy(300, seed=6)]
    readings = meter_readings(energy)

    expected = {rate for rate in rates_of(score_all(readings)) if rate is not None}

    trained = set(model_rows(readings, SCHEMA).values[:, 0].tolist())
    # The first row has no rate; training gives it the median.
    assert expected <= trained
    assert len(trained - expected) <= 1
    assert max(trained) < 2 * ENERGY_PER_MINUTE / 60


def test_the_last_values_are_in_snapshots_and_undone_with_the_memory() -> None:
    detector = a_meter_detector()
    memory = detector.empty_memory()
    score_all(meter_readings([100, 160]), memory)
    content = memory_to_bytes(memory)
    next_rows = meter_readings([1000, 220], [1.5, 2.0]).take(np.asarray([1]))
    memory.begin()
    score_readings(meter_readings([900], [1.6]), [], detector, memory)
    memory.undo()

    assert memory_to_bytes(memory) == content
    for restored in (memory, memory_from_bytes(content, detector)):
        outcome = score_readings(replace(next_rows, index=np.asarray([0])), [], detector, restored)
        assert rates_of(outcome) == [1.0]


def test_a_model_swap_keeps_the_last_values_only_between_the_same_counters() -> None:
    detector = a_meter_detector()
    plain_signals = [{"name": "energy", "missing": "hold_last"}, {"name": "voltage"}]
    without_counter = replace(
        detector, schema=schema_from_plain({"key": {"field": "id"}, "signals": plain_signals})
    )
    next_row = meter_readings([220], [2.0])
    memory = detector.empty_memory()
    score_all(meter_readings([100, 160]), memory)

    memory.adopt(detector)
    assert rates_of(score_all(next_row, memory)) == [1.0]
    memory.adopt(without_counter)
    memory.adopt(detector)
    assert rates_of(score_all(meter_readings([280], [3.0]), memory)) == [None]


def test_a_new_sensor_in_the_line_of_an_evicted_sensor_has_no_rate() -> None:
    detector = a_meter_detector()
    memory = detector.empty_memory(max_sensors=1)
    score_all(meter_readings([100, 160]), memory)
    other_sensor = replace(meter_readings([220, 280], [2.0, 3.0]), sensor_ids=("s1",))

    assert rates_of(score_all(other_sensor, memory)) == [None, 1.0]


def test_a_record_gives_the_rate_in_its_event() -> None:
    detector, memory = a_meter_detector(), a_meter_detector().empty_memory()
    payloads = [
        json.dumps(
            {
                "timestamp": f"2025-01-01T00:{minute:02}:00Z",
                "id": "s0",
                "energy": energy,
                "voltage": 230.0,
            }
        ).encode()
        for minute, energy in enumerate([100, 160, 220, 280, 6280])
    ]

    outcome = process(payloads, detector, memory)
    (signals,) = explain_rows(detector, outcome, np.asarray([4]))

    assert outcome.detections.is_anomaly.tolist() == [False] * 4 + [True]
    assert (signals[0].name, signals[0].actual, signals[0].direction) == ("energy", 100.0, "high")
    assert signals[0].expected == pytest.approx(1.0, abs=0.2)


def test_parsing_keeps_the_value_of_the_counter() -> None:
    row = {"timestamp": "2025-01-01T00:00:00Z", "id": "s0", "energy": 1e9, "voltage": 230.0}

    readings, _ = parse([json.dumps(row).encode()] * 5, SCHEMA)

    assert readings.values[:, 0].tolist() == [1e9] * 5
