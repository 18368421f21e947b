"""Fill missing values of training rows in the same way as detection does."""

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings


def fill_missing(readings: Readings) -> Readings:
    """Replace each missing value with the sensor's last value.

    A sensor without an earlier value gets the column's median. A column without any value gets 0.
    `readings`: in time order.
    """
    if not (np.isnan(readings.values).any() or np.isnan(readings.context).any()):
        return readings
    return replace(
        readings,
        values=_fill_columns(readings.values, readings.sensor),
        context=_fill_columns(readings.context, readings.sensor),
    )


def _fill_columns(columns: NDArray[np.float64], sensor: NDArray[np.int32]) -> NDArray[np.float64]:
    table = pd.DataFrame(columns)
    forward_filled = table.groupby(sensor).ffill()
    return forward_filled.fillna(table.median()).fillna(0.0).to_numpy(dtype=np.float64)
