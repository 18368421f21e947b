"""Draw one anomalous row with each signal's share of the anomaly."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from sensorwatch.common.scoring.explanation import Direction, SignalReading
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.svg import BACKGROUND_COLOUR, MUTED_COLOUR, OUR_COLOUR, TEXT_COLOUR, Drawing
from sensorwatch.common.svg_panel import (
    ALARM_COLOUR,
    BAND_COLOUR,
    MEASURED_COLOUR,
    legend,
    titled_drawing,
)

SENSOR, FAULTY_ROW, FAULTY_SIGNAL, FAULT_SIGMAS = 1, 300, 1, 6.0
LANE_HEIGHT, CENTRE_X, BAR_HEIGHT = 74.0, 250.0, 22.0
SHARE_BAR_X, SHARE_BAR_WIDTH = 500.0, 200.0


def draw() -> str:
    """Return the plot as SVG text."""
    scored_sensor = score_sensor(MINUTE_FLEET, SENSOR, slice(0, FAULTY_ROW + 1), _add_fault)
    signals = sorted(scored_sensor.signals[FAULTY_ROW], key=lambda signal: -signal.attribution)
    drawing = titled_drawing(
        "One row in which x2 alone is 6 sigma too high", 84 + LANE_HEIGHT * len(signals)
    )
    legend_entries = [
        (BAND_COLOUR, "expected, about 99 %"),
        (OUR_COLOUR, "expected"),
        (MEASURED_COLOUR, "actual"),
    ]
    legend(drawing, 52, [*legend_entries, (ALARM_COLOUR, "outside")])
    drawing.text(
        SHARE_BAR_X,
        52,
        "attribution: the signal's share of the anomaly",
        size=11.5,
        colour=MUTED_COLOUR,
    )
    for lane_number, signal in enumerate(signals):
        _draw_signal(drawing, 84 + LANE_HEIGHT * lane_number, signal)
    return drawing.to_text()


def _draw_signal(drawing: Drawing, y: float, signal: SignalReading) -> None:
    def x_of(value: float) -> float:
        half_width = (signal.expected_high - signal.expected_low) / 2
        return CENTRE_X + 60 * (value - signal.expected) / half_width

    drawing.text(16, y + 14, signal.name, bold=True, size=14)
    drawing.rect(64, y, 400, BAR_HEIGHT, BACKGROUND_COLOUR, radius=3)
    low, high = x_of(signal.expected_low), x_of(signal.expected_high)
    drawing.rect(low, y, high - low, BAR_HEIGHT, BAND_COLOUR)
    drawing.line(x_of(signal.expected), y, x_of(signal.expected), y + BAR_HEIGHT, OUR_COLOUR)
    is_outside = signal.direction != Direction.WITHIN
    drawing.dot(
        x_of(signal.actual), y + BAR_HEIGHT / 2, ALARM_COLOUR if is_outside else MEASURED_COLOUR
    )
    for value, text_x in ((signal.expected_low, low), (signal.expected_high, high)):
        text = f"{value:.1f}"
        drawing.text(
            text_x, y + BAR_HEIGHT + 14, text, size=11, colour=MUTED_COLOUR, anchor="middle"
        )
    drawing.rect(SHARE_BAR_X, y, SHARE_BAR_WIDTH, BAR_HEIGHT, BACKGROUND_COLOUR, radius=3)
    drawing.rect(
        SHARE_BAR_X, y, SHARE_BAR_WIDTH * signal.attribution, BAR_HEIGHT, OUR_COLOUR, radius=3
    )
    drawing.text(
        SHARE_BAR_X + SHARE_BAR_WIDTH + 10, y + 15, f"{100 * signal.attribution:.0f} %", bold=True
    )
    drawing.text(
        SHARE_BAR_X, y + BAR_HEIGHT + 14, _signal_text(signal), size=11.5, colour=TEXT_COLOUR
    )


def _signal_text(signal: SignalReading) -> str:
    band = f"expected {signal.expected_low:.1f} to {signal.expected_high:.1f}"
    share = f"{100 * signal.attribution:.0f} %"
    return f"{signal.name} {signal.actual:.1f}, {band}, {signal.direction}, {share}"


def _add_fault(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values[FAULTY_ROW, FAULTY_SIGNAL] += FAULT_SIGMAS * noise_scale()[FAULTY_SIGNAL]
    return values
