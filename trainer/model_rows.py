"""The rows that a model is trained on: the values that the detector uses for the same rows."""

from dataclasses import replace

import numpy as np

from sensorwatch.common.model.levels import no_levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import recall
from sensorwatch.trainer.imputation import fill_missing
from sensorwatch.trainer.level_fitting import pooled_gap_factor, schema_max_gap


def model_rows(readings: Readings, schema: Schema) -> Readings:
    """Return readings with the rates of counters, and without missing values.

    `readings`: in time order.
    """
    return fill_missing(_with_rates(readings, schema) if schema.counters else readings)


def _with_rates(readings: Readings, schema: Schema) -> Readings:
    """Replace each counter by its rate; NaN if there is none. Other values stay unchanged."""
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
