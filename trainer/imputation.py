"""Fill missing values of training rows in the same way as detection does."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings


def fill_missing(readings: Readings) -> Readings:
    """Replace each missing value with the sensor's previous value in the same column.

    If the sensor has no previous value, the median of the column is used; if the column has no
    value at all, 0 is used. `readings`: in time order.
    """
    if not (np.isnan(readings.values).any() or np.isnan(readings.context).any()):
        return readings
    return replace(
        readings,
        values=_fill_columns(readings.values, readings.sensor),
        context=_fill_columns(readings.context, readings.sensor),
    )


def drop_rows_without_signals(readings: Readings) -> Readings:
    """Return the rows that have a value of at least one signal, numbered from 0.

    The context values of a dropped row are used for the sensor's next rows, as in detection.
    `readings`: in time order.
    """
    has_signal = np.asarray(~np.isnan(readings.values).all(axis=1))
    if has_signal.all():
        return readings
    context = pd.DataFrame(readings.context).groupby(readings.sensor).ffill().to_numpy()
    remaining_rows = replace(readings, context=context.astype(np.float64)).take(has_signal)
    return replace(remaining_rows, index=np.arange(len(remaining_rows), dtype=np.int64))


def _fill_columns(columns: NDArray[np.float64], sensor: NDArray[np.int32]) -> NDArray[np.float64]:
    frame = pd.DataFrame(columns)
    forward_filled = frame.groupby(sensor).ffill()
    return forward_filled.fillna(frame.median()).fillna(0.0).to_numpy(dtype=np.float64)
