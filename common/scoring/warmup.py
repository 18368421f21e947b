"""The compilation of the scoring kernels before the first row."""

import numpy as np

from sensorwatch.common.kernels import is_cached
from sensorwatch.common.model.forest import path_lengths_to_scores
from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse
from sensorwatch.common.rows.readings import DEFAULT_SENSOR, build_readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import score_readings

COMPILING_MESSAGE = (
    "compiling the scoring code for this machine, once: this takes some seconds; "
    "`sensorwatch warmup` does it in advance"
)


def compile_kernels(detector: Detector) -> None:
    """Compile the kernels, or load them from numba's cache, by scoring synthetic rows."""
    parse([b"{}"] * MIN_PAYLOADS_FOR_KERNEL, detector.schema)
    signals, contexts = len(detector.schema.signals), len(detector.schema.context)
    readings = build_readings(
        index=[0],
        event_time=[0],
        sensor_ids=[DEFAULT_SENSOR],
        values=[[*detector.ranges.expected.tolist(), *[0.0] * contexts]],
        signals=signals,
        contexts=contexts,
    )
    outcome = score_readings(readings, [], detector, detector.empty_memory())
    explain_rows(detector, outcome, np.arange(len(outcome.readings)))


def is_compiled() -> bool:
    """Return whether numba's cache contains the kernels of this code."""
    return is_cached(path_lengths_to_scores)
