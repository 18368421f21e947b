"""An episode: where it opens, what holds it open, where it closes, and what is published of it."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.panel import ALARM, MEASURED, Panel, legend, titled_drawing, true_ranges
from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from benchmarks.report.svg import FAULT, MUTED, OURS
from sensorwatch.common.scoring.decide import ALARM_HOLD_SHARE
from sensorwatch.common.simulation.sensors import noise_scale

ROWS, FAULT_START, FAULT_LENGTH = 90, 30, 26
SENSOR, SIGNAL = 1, 0
FAULT_PROFILE = ((0, 1.5), (6, 2.0), (9, 0.8), (14, 1.0), (16, 3.2), (20, 3.6), (26, 0.5))
"""How far the signal is off during the fault, in standard deviations of the noise."""


def draw() -> str:
    """Draw it."""
    scored = score_sensor(MINUTE_FLEET, SENSOR, slice(700, 700 + ROWS), _add_fault)
    raw, score = scored.detections.raw_score, scored.detections.anomaly_score
    threshold = scored.detector.calibration.threshold
    drawing = titled_drawing("An episode", 520)
    upper = Panel(drawing, 90, 290, (0, ROWS), (0, 30))
    lower = Panel(drawing, 340, 460, (0, ROWS), (0, 2))
    episodes = true_ranges(scored.detections.is_anomaly)
    for panel in (upper, lower):
        for first, end in episodes:
            panel.shade(first - 0.5, end - 0.5, FAULT)
    upper.axes(x=(), y=range(0, 31, 5), axis_names=("", "raw score: how rare the row is, in nats"))
    lower.axes(
        x=range(0, ROWS, 10), y=(0, 1, 2), axis_names=("row", "anomaly score, as it is published")
    )
    upper.level(threshold, ALARM)
    upper.level(ALARM_HOLD_SHARE * threshold, MUTED)
    lower.level(1.0, ALARM)
    threshold_note = (
        "opens above the threshold,",
        f"stays open above {100 * ALARM_HOLD_SHARE:.0f} % of it",
    )
    for line, words in enumerate(threshold_note):
        x, y = upper.at(1, threshold)
        drawing.text(x, y - 22 + 15 * line, words, size=11.5, colour=(ALARM, MUTED)[line])
    upper.line(raw, MEASURED)
    anomalous = np.flatnonzero(scored.detections.is_anomaly).tolist()
    upper.dots(anomalous, raw, ALARM)
    for row in anomalous:
        x, y = lower.at(row, float(score[row]))
        drawing.line(x, y, x, lower.bottom, OURS)
        drawing.dot(x, y, OURS, radius=3)
    for first, _ in episodes:
        drawing.text(*upper.at(first, 28.5), "opened ", size=11.5, bold=True, anchor="end")
    for closed in scored.closed:
        row = closed.position - scored.first
        for line, words in enumerate(
            (" closed:", f" {closed.rows} rows,", f" peak {closed.peak:.2f}, {closed.severity}")
        ):
            x, y = upper.at(row, 28.5)
            drawing.text(x, y + 15 * line, words, size=11.5, bold=not line)
    legend(drawing, 52, [(FAULT, "is_anomaly"), (ALARM, "an event each")])
    return drawing.to_text()


def _add_fault(values: NDArray[np.float64]) -> NDArray[np.float64]:
    steps, sizes = zip(*FAULT_PROFILE, strict=True)
    offset_in_sigmas = np.interp(np.arange(FAULT_LENGTH), steps, sizes)
    values[FAULT_START : FAULT_START + FAULT_LENGTH, SIGNAL] += (
        noise_scale()[SIGNAL] * offset_in_sigmas
    )
    return values
