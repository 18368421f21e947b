"""Draw the expected range of a signal with a moving level, and a level shift as a fault."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, ScoredSensor, score_sensor
from sensorwatch.common.simulation.faults import FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.svg import FAULT_COLOUR, OUR_COLOUR
from sensorwatch.common.svg_panel import (
    ALARM_COLOUR,
    BAND_COLOUR,
    MEASURED_COLOUR,
    Panel,
    legend,
    titled_drawing,
)

FIRST_ROW, ROWS, FAULT_START, FAULT_LENGTH = 560, 720, 540, 40
SENSOR, FAULTY_SIGNAL = 3, 1


def draw() -> str:
    """Return the plot as SVG text."""
    scored_sensor = score_sensor(
        MINUTE_FLEET, SENSOR, slice(FIRST_ROW, FIRST_ROW + ROWS), _add_fault
    )
    values = scored_sensor.values[:, FAULTY_SIGNAL]
    low, high = (float(end) for end in (np.floor(values.min()) - 1, np.ceil(values.max()) + 1))
    drawing = titled_drawing("What memory expects, and what it does not follow", 400)
    panel = Panel(drawing, 78, 340, (0, ROWS), (low, high))
    panel.shade(FAULT_START, FAULT_START + FAULT_LENGTH, FAULT_COLOUR)
    panel.axes(
        x=range(0, ROWS + 1, 120),
        y=range(int(np.ceil(low / 5)) * 5, int(high) + 1, 5),
        axis_names=("minutes", "x2 of one sensor"),
    )
    lows, highs, expected_values = _band(scored_sensor)
    panel.band(lows, highs)
    panel.line(values, MEASURED_COLOUR, width=0.8)
    panel.line(expected_values, OUR_COLOUR, width=1.6)
    panel.dots(
        np.flatnonzero(scored_sensor.detections.is_anomaly).tolist(),
        values,
        ALARM_COLOUR,
        radius=2.6,
    )
    legend_entries = [
        (MEASURED_COLOUR, "measured"),
        (OUR_COLOUR, "expected"),
        (BAND_COLOUR, "band, about 99 %"),
    ]
    legend(
        drawing,
        50,
        [*legend_entries, (FAULT_COLOUR, "4 sigma shift of x2"), (ALARM_COLOUR, "anomalous row")],
    )
    return drawing.to_text()


def _add_fault(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return inject_fault(
        values,
        FaultKind.LEVEL_SHIFT,
        first_row=FAULT_START,
        length=FAULT_LENGTH,
        size=4.0,
        scale=noise_scale(),
        rng=np.random.default_rng(2),
        signals=[FAULTY_SIGNAL],
    )


def _band(scored_sensor: ScoredSensor) -> tuple[list[float], list[float], list[float]]:
    readings_of_signal = [row[FAULTY_SIGNAL] for row in scored_sensor.signals]
    return (
        [reading.expected_low for reading in readings_of_signal],
        [reading.expected_high for reading in readings_of_signal],
        [reading.expected for reading in readings_of_signal],
    )
