"""The rules of a schema's number columns, as arrays for the kernels."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.schema import MissingPolicy, Schema


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
