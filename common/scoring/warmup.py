"""The loading of the scoring kernels before the first row."""

import numpy as np

from sensorwatch.common.policy.alarm_policy import EMPTY_POLICY
from sensorwatch.common.policy.learned import LearnedPart, LearnedSuppression
from sensorwatch.common.rows.json_objects import JsonText, json_objects
from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse
from sensorwatch.common.rows.readings import DEFAULT_SENSOR, Readings, build_readings
from sensorwatch.common.rows.text_columns import time_texts
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import score_readings
from sensorwatch.common.scoring.score_aggregation import aggregate_scores
from sensorwatch.common.scoring.silence_rule import SilenceRule

POLICY_WITH_ALL_KERNELS = EMPTY_POLICY.with_learned(
    LearnedPart((LearnedSuppression("", "", "", "", (), (), None, 0),))
)
"""A policy without effect. Some kernels run only if a policy has a learned suppression."""


def load_kernels(detector: Detector) -> None:
    """Load the scoring kernels from numba's cache; to do so, score a synthetic row.

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
    memory = detector.empty_memory(silence_rule=SilenceRule(check_seconds=60.0))
    outcome = score_readings(readings, [], detector.under(POLICY_WITH_ALL_KERNELS), memory)
    explain_rows(detector, outcome, np.arange(len(outcome.readings)))
    aggregate_scores(detector, outcome)
    write_texts(readings)


def write_texts(readings: Readings) -> None:
    """Call the kernels that write events and CSV lines."""
    times = JsonText(time_texts(readings.event_time))
    json_objects({"time": times, "index": readings.index, "value": readings.values[:, 0]})
