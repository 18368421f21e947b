"""The loading of the scoring kernels before the first row."""

import numpy as np

from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse
from sensorwatch.common.rows.readings import DEFAULT_SENSOR, build_readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import score_readings


def load_kernels(detector: Detector) -> None:
    """Load the scoring kernels from numba's cache by scoring a synthetic row.

    A kernel that is not in the cache is compiled.
    """
    parse([b"{}"] * MIN_PAYLOADS_FOR_KERNEL, detector.schema)
    signals, contexts = len(detector.schema.signals), len(detector.schema.context)
    readings = build_readings(
        index=[0],
        event_time=[0],
        sensor_ids=[DEFAULT_SENSOR],
        values=[[*detector.typical_values, *[0.0] * contexts]],
        signals=signals,
        contexts=contexts,
    )
    outcome = score_readings(readings, [], detector, detector.empty_memory())
    explain_rows(detector, outcome, np.arange(len(outcome.readings)))
