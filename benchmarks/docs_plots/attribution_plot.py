"""The reasons of one anomalous row, signal by signal."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.panel import ALARM, BAND, SEEN, legend, paper
from benchmarks.docs_plots.scored_sensor import BY_MINUTE, watch
from benchmarks.report.svg import FIELD, INK, OURS, SOFT, Drawing
from sensorwatch.common.scoring.explanation import Direction, SignalReading
from sensorwatch.common.simulation.sensors import noise_scale

SENSOR, ROW, SIGNAL, SIZE = 1, 300, 1, 6.0
LANE, MIDDLE, REACH = 74.0, 250.0, 22.0
SHARES, SHARE_ROOM = 500.0, 200.0


def draw() -> str:
    """Draw it."""
    found = watch(BY_MINUTE, SENSOR, slice(0, ROW + 1), _change)
    signals = sorted(found.signals[ROW], key=lambda one: -one.attribution)
    drawing = paper("One row in which x2 alone is 6 sigma too high", 84 + LANE * len(signals))
    marks = [(BAND, "expected, about 99 %"), (OURS, "expected"), (SEEN, "actual")]
    legend(drawing, 52, [*marks, (ALARM, "outside")])
    drawing.text(SHARES, 52, "attribution: its share of what is strange", size=11.5, colour=SOFT)
    for number, signal in enumerate(signals):
        _lane(drawing, 84 + LANE * number, signal)
    return drawing.to_text()


def _lane(drawing: Drawing, y: float, signal: SignalReading) -> None:
    def at(value: float) -> float:
        half = (signal.expected_high - signal.expected_low) / 2
        return MIDDLE + 60 * (value - signal.expected) / half

    drawing.text(16, y + 14, signal.name, bold=True, size=14)
    drawing.rect(64, y, 400, REACH, FIELD, radius=3)
    low, high = at(signal.expected_low), at(signal.expected_high)
    drawing.rect(low, y, high - low, REACH, BAND)
    drawing.line(at(signal.expected), y, at(signal.expected), y + REACH, OURS)
    outside = signal.direction != Direction.WITHIN
    drawing.dot(at(signal.actual), y + REACH / 2, ALARM if outside else SEEN)
    for value, where in ((signal.expected_low, low), (signal.expected_high, high)):
        text = f"{value:.1f}"
        drawing.text(where, y + REACH + 14, text, size=11, colour=SOFT, anchor="middle")
    drawing.rect(SHARES, y, SHARE_ROOM, REACH, FIELD, radius=3)
    drawing.rect(SHARES, y, SHARE_ROOM * signal.attribution, REACH, OURS, radius=3)
    drawing.text(SHARES + SHARE_ROOM + 10, y + 15, f"{100 * signal.attribution:.0f} %", bold=True)
    drawing.text(SHARES, y + REACH + 14, _words(signal), size=11.5, colour=INK)


def _words(signal: SignalReading) -> str:
    band = f"expected {signal.expected_low:.1f} to {signal.expected_high:.1f}"
    share = f"{100 * signal.attribution:.0f} %"
    return f"{signal.name} {signal.actual:.1f}, {band}, {signal.direction}, {share}"


def _change(values: NDArray[np.float64]) -> NDArray[np.float64]:
    values[ROW, SIGNAL] += SIZE * noise_scale()[SIGNAL]
    return values
