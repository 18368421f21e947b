"""The rows on which a model is trained, with the values that the detector uses for these rows."""

from dataclasses import replace

import numpy as np

from sensorwatch.common.model.angles import model_schema, to_model_readings
from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import recall
from sensorwatch.trainer.imputation import fill_missing
from sensorwatch.trainer.level_fitting import pooled_gap_factor, schema_max_gap


def model_rows(readings: Readings, schema: Schema) -> Readings:
    """Return readings of `model_schema(schema)` with rates of counters, without missing values.

    `readings`: readings of `schema`, in time order.
    """
    model_readings = to_model_readings(readings, schema)
    return fill_missing(with_rates(model_readings, model_schema(schema)))


def with_rates(readings: Readings, schema: Schema) -> Readings:
    """Return readings in which each counter is replaced by its rate, or by NaN without a rate.

    `readings`: in time order. Without counters, the readings are returned unchanged.
    """
    if not schema.counters:
        return readings
    levels = no_levels(
        np.zeros(len(schema.columns)),
        max_gap=schema_max_gap(schema),
        gap_factor=pooled_gap_factor(readings),
    )
    layout = Layout(schema.signal_names, schema.context_names, counters=schema.counters)
    recalled = recall(readings, levels, {}, Memory(layout))
    measured = np.where(recalled.imputed, np.nan, recalled.measured)
    signals = len(schema.signals)
    return replace(readings, values=measured[:, :signals], context=measured[:, signals:])
