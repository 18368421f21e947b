"""Draw the expected range of a signal during and after the warm-up of a new sensor."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.row_order_plot import STATUS_COLOURS
from benchmarks.docs_plots.scored_sensor import SECOND_FLEET, score_sensor
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.svg import MUTED_COLOUR, OUR_COLOUR
from sensorwatch.common.svg_panel import (
    ALARM_COLOUR,
    BAND_COLOUR,
    MEASURED_COLOUR,
    Panel,
    legend,
    titled_drawing,
)

ROWS, PLOTTED_SIGNAL = 170, 0
OUTLIERS = {45: 25.0, 75: 6.0, 140: 6.0}
"""For each row with an outlier, its size in standard deviations of the noise."""


def draw() -> str:
    """Return the plot as SVG text."""
    scored_sensor = score_sensor(
        SECOND_FLEET, SECOND_FLEET.training_sensors, slice(0, ROWS), _add_outliers
    )
    values, readings_of_signal = (
        scored_sensor.values[:, PLOTTED_SIGNAL],
        [row[PLOTTED_SIGNAL] for row in scored_sensor.signals],
    )
    drawing = titled_drawing("A sensor that training never saw", 420)
    panel = Panel(drawing, 84, 330, (0, ROWS), (12, 48))
    panel.axes(x=range(0, ROWS, 20), y=range(15, 50, 5), axis_names=("", "x1 of the new sensor"))
    panel.band(
        [reading.expected_low for reading in readings_of_signal],
        [reading.expected_high for reading in readings_of_signal],
    )
    panel.line(values, MEASURED_COLOUR)
    panel.line([reading.expected for reading in readings_of_signal], OUR_COLOUR, width=1.6)
    anomaly_mask = scored_sensor.detections.is_anomaly
    panel.dots(np.flatnonzero(anomaly_mask).tolist(), values, ALARM_COLOUR)
    for row, sigmas in OUTLIERS.items():
        x, y = panel.pixel(row, float(values[row]))
        flag_text = "flagged" if anomaly_mask[row] else "not flagged"
        colour = ALARM_COLOUR if anomaly_mask[row] else MUTED_COLOUR
        drawing.text(x + 8, y + 4, f"+{sigmas:g} sigma: {flag_text}", size=11.5, colour=colour)
    _draw_statuses(panel, [status.value for status in scored_sensor.statuses])
    legend_entries = [
        (MEASURED_COLOUR, "measured"),
        (OUR_COLOUR, "expected"),
        (BAND_COLOUR, "band, about 99 %"),
    ]
    legend(drawing, 52, [*legend_entries, (ALARM_COLOUR, "anomalous row")])
    return drawing.to_text()


def _draw_statuses(panel: Panel, statuses: list[str]) -> None:
    """Draw the status of each row as a coloured bar below the panel."""
    colours = {status.value: colour for status, colour in STATUS_COLOURS.items()}
    first = 0
    for status, rows in groupby(statuses):
        end = first + len(list(rows))
        (left, top), (right, _) = panel.pixel(first, 0), panel.pixel(end, 0)
        panel.drawing.rect(left, top + 24, right - left, 12, colours[status])
        panel.drawing.text(
            left, top + 52, f"{status}, from row {first}", size=11.5, colour=MUTED_COLOUR
        )
        first = end


def _add_outliers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    for row, sigmas in OUTLIERS.items():
        values[row, PLOTTED_SIGNAL] += sigmas * noise_scale()[PLOTTED_SIGNAL]
    return values
