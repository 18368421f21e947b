"""Builds a detector from the arrays of a stored model version."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.alarm_rates import alarm_rates_from_arrays
from sensorwatch.common.model.angles import model_schema
from sensorwatch.common.model.calibration import calibration_from_arrays
from sensorwatch.common.model.decision import decision_from_arrays
from sensorwatch.common.model.forecast import forecast_from_arrays
from sensorwatch.common.model.forest import forest_from_arrays
from sensorwatch.common.model.level_guard import level_guard_from_arrays
from sensorwatch.common.model.levels import levels_from_arrays
from sensorwatch.common.model.plan import FeaturePlan
from sensorwatch.common.model.signal_ranges import SignalRanges
from sensorwatch.common.model.stored_arrays import stored_array
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector


def detector_from_arrays(
    version: str, schema: Schema, plan: FeaturePlan, arrays: dict[str, NDArray[Any]]
) -> Detector:
    """Build a detector from stored arrays.

    Raises ModelRefused if an array is wrong or does not fit the schema and the plan.
    """
    forest = forest_from_arrays(arrays)
    if forest.columns[0] != len(plan.features):
        raise ModelRefused(
            f"the forest has {forest.columns[0]} features, the plan has {len(plan.features)}"
        )
    signals, columns = len(model_schema(schema).signals), len(model_schema(schema).columns)
    ranges = stored_array(arrays, "signal_ranges", np.float64, (3, signals))
    detector = Detector(
        version,
        schema,
        plan,
        levels_from_arrays(arrays, columns),
        forest,
        calibration_from_arrays(arrays),
        SignalRanges(*ranges),
        alarm_rates_from_arrays(arrays),
    )
    if not plan.needs_memory:
        return detector
    return replace(
        detector,
        forecast=forecast_from_arrays(arrays, signals=signals, contexts=columns - signals),
        decision=decision_from_arrays(arrays, signals=signals),
        guard=level_guard_from_arrays(
            arrays, levels=len(detector.levels.location), signals=signals
        ),
    )
