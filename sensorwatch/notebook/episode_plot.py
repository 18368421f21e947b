"""Plot one episode of a sensor."""

from typing import Any

import numpy as np

from sensorwatch.common.errors import UsageError
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.processing import Outcome

ROWS_AROUND_EPISODE = 60
"""Maximum number of the sensor's rows that are drawn before the episode, and also after it."""


def draw_episode(detector: Detector, outcome: Outcome, row: int) -> Any:
    """Return a matplotlib figure of an episode, with one panel for each signal of the sensor.

    `row`: the position in the outcome's readings of an anomalous row of the episode. Raises
    UsageError if matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UsageError(
            "plotting needs matplotlib, which is not installed: "
            'install it with `pip install "sensorwatch[notebook]"`'
        ) from error
    readings, detections = outcome.readings, outcome.detections
    sensor_rows = np.flatnonzero(readings.sensor == readings.sensor[row])
    episode_positions = np.flatnonzero(detections.episode[sensor_rows] == detections.episode[row])
    plotted_rows = sensor_rows[
        max(episode_positions[0] - ROWS_AROUND_EPISODE, 0) : episode_positions[-1]
        + ROWS_AROUND_EPISODE
        + 1
    ]
    times = readings.event_time[plotted_rows].astype("datetime64[us]")
    signals_by_row = explain_rows(detector, outcome, plotted_rows)
    bands = [{signal.name: signal for signal in signals} for signals in signals_by_row]
    is_anomalous = detections.episode[plotted_rows] == detections.episode[row]
    figure = Figure(figsize=(9, 2.2 * len(detector.schema.signals)), layout="constrained")
    panels = figure.subplots(len(detector.schema.signals), sharex=True, squeeze=False)
    for column, (signal, panel) in enumerate(
        zip(detector.schema.signals, panels[:, 0], strict=True)
    ):
        values = readings.values[plotted_rows, column]
        lower_bounds = [band[signal.name].expected_low for band in bands]
        upper_bounds = [band[signal.name].expected_high for band in bands]
        panel.fill_between(
            times, lower_bounds, upper_bounds, color="tab:blue", alpha=0.15, label="expected"
        )
        panel.plot(times, values, color="tab:blue", linewidth=1)
        panel.plot(
            times[is_anomalous], values[is_anomalous], "o", color="tab:red", label="anomalous"
        )
        panel.set_ylabel(f"{signal.name} [{signal.unit}]" if signal.unit else signal.name)
    panels[0, 0].set_title(f"sensor {readings.sensor_ids[readings.sensor[row]]}")
    panels[0, 0].legend(loc="upper left")
    return figure
