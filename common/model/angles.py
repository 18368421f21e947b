"""The sine and cosine columns by which the model replaces each angle (a column with `wrap`).

Neighbouring angles have neighbouring sines and cosines everywhere on the circle. So the values have
no step where the angle wraps around from `wrap` to 0.
"""

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema


@lru_cache(maxsize=64)
def model_schema(schema: Schema) -> Schema:
    """Return the schema of the rows that the model sees: two columns for each angle.

    A schema without angles is returned unchanged.
    """
    if not has_angles(schema):
        return schema
    # The schema is built without validation, because the model may have more columns than a schema
    # may declare. A copy would keep the cached properties of the declared columns.
    fields = {name: getattr(schema, name) for name in Schema.model_fields}
    model_columns = {
        "signals": _model_columns(schema.signals),
        "context": _model_columns(schema.context),
    }
    return Schema.model_construct(**(fields | model_columns))


def has_angles(schema: Schema) -> bool:
    """Return whether a column of the schema is an angle."""
    return any(column.wrap is not None for column in schema.columns)


def to_model_readings(readings: Readings, schema: Schema) -> Readings:
    """Return readings of `schema` as readings of `model_schema(schema)`."""
    if not has_angles(schema):
        return readings
    return replace(
        readings,
        values=_with_sines_and_cosines(readings.values, schema.signals),
        context=_with_sines_and_cosines(readings.context, schema.context),
    )


def from_model_readings(model_readings: Readings, readings: Readings, schema: Schema) -> Readings:
    """Return `model_readings` as readings of `schema`.

    `readings`: the same rows before `to_model_readings`. Its angles are used; a missing angle is
    computed from its sine and cosine.
    """
    if not has_angles(schema):
        return model_readings
    return replace(
        readings,
        values=_with_angles(model_readings.values, readings.values, schema.signals),
        context=_with_angles(model_readings.context, readings.context, schema.context),
    )


def model_positions(columns: tuple[NumericColumn, ...]) -> list[int]:
    """Return the position of the first model column of each of `columns`."""
    widths = [len(column.model_names) for column in columns]
    return [sum(widths[:position]) for position in range(len(widths))]


def sine_positions(columns: tuple[NumericColumn, ...]) -> list[int]:
    """Return the position of the sine of each angle among the model's columns.

    The cosine has the next position.
    """
    return [
        position
        for column, position in zip(columns, model_positions(columns), strict=True)
        if column.wrap is not None
    ]


def to_angle(sine: float, cosine: float, wrap: float) -> float:
    """Return the angle, at least 0 and below `wrap`, of a point with these coordinates."""
    turn = math.atan2(sine, cosine) / math.tau
    angle = (turn % 1.0) * wrap
    return angle if angle < wrap else 0.0  # rounding can increase the product to `wrap`


def _model_columns(columns: tuple[NumericColumn, ...]) -> tuple[NumericColumn, ...]:
    """Return the model's columns; the bounds of a sine or cosine column are -1 and 1."""
    model_columns = []
    for column in columns:
        if column.wrap is None:
            model_columns.append(column)
            continue
        model_columns += [
            column.model_copy(
                update={"name": name, "field": name, "wrap": None, "min": -1.0, "max": 1.0}
            )
            for name in column.model_names
        ]
    return tuple(model_columns)


def _with_sines_and_cosines(
    values: NDArray[np.float64], columns: tuple[NumericColumn, ...]
) -> NDArray[np.float64]:
    """Return values (n, columns) with a sine and a cosine in place of each angle."""
    model_values: list[NDArray[np.float64]] = []
    for position, column in enumerate(columns):
        if column.wrap is None:
            model_values.append(values[:, position])
        else:
            model_values += _sine_and_cosine(values[:, position], column.wrap)
    return np.stack(model_values, axis=1) if model_values else values


def _sine_and_cosine(angles: NDArray[np.float64], wrap: float) -> list[NDArray[np.float64]]:
    # The math module computes each value on its own. A vectorised sine may round the last values of
    # an array differently from the first, so a score would depend on the size of the micro-batch.
    radians = [angle % wrap / wrap * math.tau for angle in angles.tolist()]
    return [
        np.asarray([function(angle) for angle in radians], dtype=np.float64)
        for function in (math.sin, math.cos)
    ]


def _with_angles(
    model_values: NDArray[np.float64],
    values: NDArray[np.float64],
    columns: tuple[NumericColumn, ...],
) -> NDArray[np.float64]:
    """Return the model's values (n, model columns) as values (n, columns)."""
    collapsed = values.copy()
    for position, (column, first) in enumerate(zip(columns, model_positions(columns), strict=True)):
        if column.wrap is None:
            collapsed[:, position] = model_values[:, first]
            continue
        for row in np.flatnonzero(np.isnan(values[:, position])).tolist():
            collapsed[row, position] = to_angle(
                model_values[row, first], model_values[row, first + 1], column.wrap
            )
    return collapsed
