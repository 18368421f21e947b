"""A plot of one episode."""

from typing import Any

import numpy as np

from sensorwatch.common.errors import UsageError
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import Outcome

ROWS_AROUND = 60
"""Rows of the sensor that are drawn before and after the episode."""


def draw_episode(detector: Detector, outcome: Outcome, row: int) -> Any:
    """Return a matplotlib figure with one panel for each signal of the sensor of `row`.

    `row`: position of an anomalous reading of the outcome. Raises UsageError if matplotlib is not
    installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "plotting needs matplotlib, which is not installed: "
            'install it with `pip install "sensorwatch[notebook]"`'
        ) from error
    readings, detections = outcome.readings, outcome.detections
    own = np.flatnonzero(readings.sensor == readings.sensor[row])
    inside = np.flatnonzero(detections.episode[own] == detections.episode[row])
    shown = own[max(inside[0] - ROWS_AROUND, 0) : inside[-1] + ROWS_AROUND + 1]
    times = readings.event_time[shown].astype("datetime64[us]")
    explained = explain_rows(detector, outcome, shown)
    bands = [{signal.name: signal for signal in signals} for signals in explained]
    anomalous = detections.episode[shown] == detections.episode[row]
    figure = Figure(figsize=(9, 2.2 * len(detector.schema.signals)), layout="constrained")
    panels = figure.subplots(len(detector.schema.signals), sharex=True, squeeze=False)
    for column, (signal, panel) in enumerate(
        zip(detector.schema.signals, panels[:, 0], strict=True)
    ):
        values = readings.values[shown, column]
        low = [band[signal.name].expected_low for band in bands]
        high = [band[signal.name].expected_high for band in bands]
        panel.fill_between(times, low, high, color="tab:blue", alpha=0.15, label="expected")
        panel.plot(times, values, color="tab:blue", linewidth=1)
        panel.plot(times[anomalous], values[anomalous], "o", color="tab:red", label="anomalous")
        panel.set_ylabel(f"{signal.name} [{signal.unit}]" if signal.unit else signal.name)
    panels[0, 0].set_title(f"sensor {readings.sensor_ids[readings.sensor[row]]}")
    panels[0, 0].legend(loc="upper left")
    return figure
