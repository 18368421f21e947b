"""The reasons of one anomalous row, signal by signal."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.panel import ALARM, BAND, MEASURED, legend, titled_drawing
from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from benchmarks.report.svg import BACKGROUND, MUTED, OURS, TEXT_COLOUR, Drawing
from sensorwatch.common.scoring.explanation import Direction, SignalReading
from sensorwatch.common.simulation.sensors import noise_scale

SENSOR, ROW, SIGNAL, SIZE = 1, 300, 1, 6.0
LANE_HEIGHT, CENTRE_X, BAR_HEIGHT = 74.0, 250.0, 22.0
SHARE_BAR_X, SHARE_BAR_WIDTH = 500.0, 200.0


def draw() -> str:
    """Draw it."""
    scored = score_sensor(MINUTE_FLEET, SENSOR, slice(0, ROW + 1), _add_fault)
    signals = sorted(scored.signals[ROW], key=lambda one: -one.attribution)
    drawing = titled_drawing(
        "One row in which x2 alone is 6 sigma too high", 84 + LANE_HEIGHT * len(signals)
    )
    marks = [(BAND, "expected, about 99 %"), (OURS, "expected"), (MEASURED, "actual")]
    legend(drawing, 52, [*marks, (ALARM, "outside")])
    drawing.text(
        SHARE_BAR_X, 52, "attribution: its share of what is strange", size=11.5, colour=MUTED
    )
    for number, signal in enumerate(signals):
        _draw_signal(drawing, 84 + LANE_HEIGHT * number, signal)
    return drawing.to_text()


def _draw_signal(drawing: Drawing, y: float, signal: SignalReading) -> None:
    def at(value: float) -> float:
        half = (signal.expected_high - signal.expected_low) / 2
        return CENTRE_X + 60 * (value - signal.expected) / half

    drawing.text(16, y + 14, signal.name, bold=True, size=14)
    drawing.rect(64, y, 400, BAR_HEIGHT, BACKGROUND, radius=3)
    low, high = at(signal.expected_low), at(signal.expected_high)
    drawing.rect(low, y, high - low, BAR_HEIGHT, BAND)
    drawing.line(at(signal.expected), y, at(signal.expected), y + BAR_HEIGHT, OURS)
    outside = signal.direction != Direction.WITHIN
    drawing.dot(at(signal.actual), y + BAR_HEIGHT / 2, ALARM if outside else MEASURED)
    for value, text_x in ((signal.expected_low, low), (signal.expected_high, high)):
        text = f"{value:.1f}"
        drawing.text(text_x, y + BAR_HEIGHT + 14, text, size=11, colour=MUTED, anchor="middle")
    drawing.rect(SHARE_BAR_X, y, SHARE_BAR_WIDTH, BAR_HEIGHT, BACKGROUND, radius=3)
    drawing.rect(SHARE_BAR_X, y, SHARE_BAR_WIDTH * signal.attribution, BAR_HEIGHT, OURS, radius=3)
    drawing.text(
        SHARE_BAR_X + SHARE_BAR_WIDTH + 10, y + 15, f"{100 * signal.attribution:.0f} %", bold=True
    )
    drawing.text(SHARE_BAR_X, y + BAR_HEIGHT + 14, _alt_text(signal), size=11.5, colour=TEXT_COLOUR)


def _alt_text(signal: SignalReading) -> str:
    band = f"expected {signal.expected_low:.1f} to {signal.expected_high:.1f}"
    share = f"{100 * signal.attribution:.0f} %"
    return f"{signal.name} {signal.actual:.1f}, {band}, {signal.direction}, {share}"


def _add_fault(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values[ROW, SIGNAL] += SIZE * noise_scale()[SIGNAL]
    return values
