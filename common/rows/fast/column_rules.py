"""The rules of a schema's number columns, as arrays for the kernels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.field_declarations import MissingPolicy
from sensorwatch.common.rows.schema import Schema


class ColumnRules(NamedTuple):
    """Which values are valid in each column of `schema.columns`."""

    low: NDArray[np.float64]
    """Shape (columns,). The smallest valid value."""
    high: NDArray[np.float64]
    """Shape (columns,). The largest valid value."""
    may_be_missing: NDArray[np.bool_]
    """Shape (columns,). Whether a row without this value is valid."""


def column_rules(schema: Schema) -> ColumnRules:
    """Return the rules of a schema's columns."""
    low, high = np.asarray([column.bounds for column in schema.columns], dtype=np.float64).T
    may_be_missing = [column.missing is MissingPolicy.HOLD_LAST for column in schema.columns]
    return ColumnRules(
        np.ascontiguousarray(low), np.ascontiguousarray(high), np.asarray(may_be_missing)
    )


def mark_missing_numbers(schema: Schema, values: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Replace the numbers that mean a missing value by NaN.

    `values`: shape (n, columns), changed in place. Returns a mask (n,) of the rows that are not
    valid without such a value.
    """
    is_invalid = np.zeros(len(values), dtype=np.bool_)
    for position, numbers in schema.missing_numbers:
        is_missing = np.isin(values[:, position], numbers)
        if schema.columns[position].missing is MissingPolicy.HOLD_LAST:
            values[is_missing, position] = np.nan
        else:
            is_invalid |= is_missing
    return is_invalid
