"""Rows for fault injection: counters become rates, and angles do not wrap around."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import has_angles
from sensorwatch.common.rows.field_declarations import ColumnKind, NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.model_rows import with_rates


def fault_rows(readings: Readings, detector: Detector) -> tuple[Readings, Detector]:
    """Return rows to which faults can be added, and the detector that scores these rows.

    A counter becomes its rate, and the returned detector treats the rate as a measurement. A
    multiple of `wrap` is added to each angle, so that it is nearest to the mean direction of all
    rows. So the spread of the numbers is the spread of the directions. `readings`: in time order.
    Without counters and angles, both arguments are returned unchanged.
    """
    schema = detector.schema
    if not (schema.counters or has_angles(schema)):
        return readings, detector
    readings = with_rates(readings, schema)
    return (
        replace(readings, values=_without_wrap_around(readings.values, schema.signals)),
        replace(detector, schema=_schema_of_fault_rows(schema)),
    )


def _schema_of_fault_rows(schema: Schema) -> Schema:
    """Return the schema without counters, and without limits of rates and angles."""
    signals, context = (
        tuple(
            column.model_copy(update={"kind": ColumnKind.MEASUREMENT, "min": None, "max": None})
            if column.wrap is not None or column.kind is ColumnKind.COUNTER
            else column
            for column in columns
        )
        for columns in (schema.signals, schema.context)
    )
    return schema.with_changes(signals=signals, context=context)


def _without_wrap_around(
    values: NDArray[np.float64], signals: tuple[NumericColumn, ...]
) -> NDArray[np.float64]:
    values = values.copy()
    for position, signal in enumerate(signals):
        if signal.wrap is not None:
            values[:, position] = _nearest_to_mean(values[:, position], signal.wrap)
    return values


def _nearest_to_mean(angles: NDArray[np.float64], wrap: float) -> NDArray[np.float64]:
    """Return angles (n,) plus multiples of `wrap`, at most half a circle from their mean."""
    radians = angles[~np.isnan(angles)] * (math.tau / wrap)
    mean = math.atan2(np.sin(radians).sum(), np.cos(radians).sum()) / math.tau * wrap
    nearest: NDArray[np.float64] = mean + (angles - mean + wrap / 2) % wrap - wrap / 2
    return nearest
