"""Rows and detectors of chosen sizes, for benchmarks without a broker."""

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import decode
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import process
from sensorwatch.trainer.unregistered_model import fit_on_first_records

TRAINING_ROWS = 4_000
WARM_UP_ROWS = 16
"""Number of rows of each sensor before the measurement begins."""


@dataclass(frozen=True, slots=True)
class Case:
    """The sizes that can change the time to process a row."""

    rows: int = 10_000
    """Number of rows per call of the detector."""
    sensors: int = 1_000
    signals: int = 3
    trees: int = 100
    padding: int = 0
    """Length of an additional field that is not in the schema, in bytes."""


DEFAULT_CASE = Case()


def warm_detector(case: Case) -> tuple[Detector, Memory, int]:
    """Return a detector, its memory after the warm-up, and the number of warm-up rows."""
    detector = detector_of(case.signals, case.trees)
    memory = detector.empty_memory()
    warm_up_rows = max(WARM_UP_ROWS * case.sensors, case.rows)
    for first in range(0, warm_up_rows, DEFAULT_CASE.rows):
        size = min(DEFAULT_CASE.rows, warm_up_rows - first)
        process(payloads(replace(case, padding=0), size, first), detector, memory)
    return detector, memory, warm_up_rows


def payloads(case: Case, rows: int, first: int) -> list[bytes]:
    """Return `rows` JSON rows, numbered from `first`; each sensor has one row per second."""
    rng = np.random.default_rng([case.signals, first])
    values = rng.standard_normal((rows, case.signals)).round(4).tolist()
    names = [f'"x{signal_number + 1}":' for signal_number in range(case.signals)]
    padding_field = f',"more":"{"x" * case.padding}"' if case.padding else ""
    encoded_rows = []
    for row_number, row in enumerate(values, start=first):
        signal_fields = ",".join(f"{name}{value}" for name, value in zip(names, row, strict=True))
        sensor, second = row_number % case.sensors, row_number // case.sensors
        encoded_rows.append(
            f'{{"timestamp":{second},"sensor_id":"sensor-{sensor:06d}",{signal_fields}{padding_field}}}'.encode()
        )
    return encoded_rows


@cache
def _schema(signals: int) -> Schema:
    return schema_from_plain(
        {
            "name": "growth",
            "time": {"field": "timestamp", "format": "epoch_s"},
            "key": {"field": "sensor_id", "optional": True},
            "signals": [{"name": f"x{signal_number + 1}"} for signal_number in range(signals)],
        }
    )


@cache
def detector_of(signals: int, trees: int) -> Detector:
    """Return the default detector for `signals` signals, trained on ten sensors."""
    schema = _schema(signals)
    training_payloads = payloads(Case(sensors=10, signals=signals), TRAINING_ROWS, 0)
    trainer_settings = TrainerSettings(trees=trees, min_rows=10)
    detector, _, _ = fit_on_first_records(
        map(decode, training_payloads), schema, trainer_settings, rows=TRAINING_ROWS, uri="growth"
    )
    return detector
