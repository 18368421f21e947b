"""Draw an episode with its begin, its end, its thresholds and its events."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from sensorwatch.common.scoring.alarm_state import ALARM_END_SHARE
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.svg import FAULT_COLOUR, MUTED_COLOUR, OUR_COLOUR
from sensorwatch.common.svg_panel import (
    ALARM_COLOUR,
    MEASURED_COLOUR,
    Panel,
    legend,
    titled_drawing,
    true_ranges,
)

ROWS, FAULT_START, FAULT_LENGTH = 90, 30, 26
SENSOR, FAULTY_SIGNAL = 1, 0
FAULT_PROFILE = ((0, 1.5), (6, 2.0), (9, 0.8), (14, 1.0), (16, 3.2), (20, 3.6), (26, 0.5))
"""Pairs (step, offset): the signal's offset at this step, in standard deviations of the noise."""


def draw() -> str:
    """Return the plot as SVG text."""
    scored_sensor = score_sensor(MINUTE_FLEET, SENSOR, slice(820, 820 + ROWS), _add_fault)
    raw_scores, anomaly_scores = (
        scored_sensor.detections.raw_score,
        scored_sensor.detections.anomaly_score,
    )
    threshold = scored_sensor.detector.calibration.threshold
    drawing = titled_drawing("An episode", 520)
    raw_score_panel = Panel(drawing, 90, 290, (0, ROWS), (0, 30))
    score_panel = Panel(drawing, 340, 460, (0, ROWS), (0, 2))
    episodes = true_ranges(scored_sensor.detections.is_anomaly)
    for panel in (raw_score_panel, score_panel):
        for first, end in episodes:
            panel.shade(first - 0.5, end - 0.5, FAULT_COLOUR)
    raw_score_panel.axes(
        x=(), y=range(0, 31, 5), axis_names=("", "raw score: how rare the row is, in nats")
    )
    score_panel.axes(
        x=range(0, ROWS, 10), y=(0, 1, 2), axis_names=("row", "anomaly score, as it is published")
    )
    raw_score_panel.level(threshold, ALARM_COLOUR)
    raw_score_panel.level(ALARM_END_SHARE * threshold, MUTED_COLOUR)
    score_panel.level(1.0, ALARM_COLOUR)
    threshold_note = (
        "opens above the threshold,",
        f"stays open above {100 * ALARM_END_SHARE:.0f} % of it",
    )
    for line, label_text in enumerate(threshold_note):
        x, y = raw_score_panel.pixel(1, threshold)
        drawing.text(
            x, y - 22 + 15 * line, label_text, size=11.5, colour=(ALARM_COLOUR, MUTED_COLOUR)[line]
        )
    raw_score_panel.line(raw_scores, MEASURED_COLOUR)
    anomalous_rows = np.flatnonzero(scored_sensor.detections.is_anomaly).tolist()
    raw_score_panel.dots(anomalous_rows, raw_scores, ALARM_COLOUR)
    for row in anomalous_rows:
        x, y = score_panel.pixel(row, float(anomaly_scores[row]))
        drawing.line(x, y, x, score_panel.bottom, OUR_COLOUR)
        drawing.dot(x, y, OUR_COLOUR, radius=3)
    for first, _ in episodes:
        drawing.text(
            *raw_score_panel.pixel(first, 28.5), "opened ", size=11.5, bold=True, anchor="end"
        )
    for closed_episode in scored_sensor.closed_episodes:
        row = closed_episode.position - scored_sensor.first_position
        for line, label_text in enumerate(
            (
                " closed:",
                f" {closed_episode.rows} rows,",
                f" peak {closed_episode.peak:.2f}, {closed_episode.severity}",
            )
        ):
            x, y = raw_score_panel.pixel(row, 28.5)
            drawing.text(x, y + 15 * line, label_text, size=11.5, bold=not line)
    legend(drawing, 52, [(FAULT_COLOUR, "is_anomaly"), (ALARM_COLOUR, "row with an event")])
    return drawing.to_text()


def _add_fault(values: NDArray[np.float64]) -> NDArray[np.float64]:
    steps, offsets = zip(*FAULT_PROFILE, strict=True)
    offset_in_sigmas = np.interp(np.arange(FAULT_LENGTH), steps, offsets)
    values[FAULT_START : FAULT_START + FAULT_LENGTH, FAULTY_SIGNAL] += (
        noise_scale()[FAULTY_SIGNAL] * offset_in_sigmas
    )
    return values
