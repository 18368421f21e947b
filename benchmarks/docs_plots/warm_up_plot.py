"""A new sensor: what is expected of it before its own level is known, and after."""

from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.panel import ALARM, BAND, SEEN, Panel, legend, paper
from benchmarks.docs_plots.row_order_plot import COLOURS
from benchmarks.docs_plots.scored_sensor import BY_SECOND, watch
from benchmarks.report.svg import OURS, SOFT
from sensorwatch.common.simulation.sensors import noise_scale

ROWS, SIGNAL = 170, 0
OUTLIERS = {45: 25.0, 75: 6.0, 140: 6.0}
"""By row: how many standard deviations of the noise are added."""


def draw() -> str:
    """Draw it."""
    found = watch(BY_SECOND, BY_SECOND.known, slice(0, ROWS), _change)
    values, of_it = found.values[:, SIGNAL], [row[SIGNAL] for row in found.signals]
    drawing = paper("A sensor that training never saw", 420)
    panel = Panel(drawing, 84, 330, (0, ROWS), (12, 48))
    panel.axes(x=range(0, ROWS, 20), y=range(15, 50, 5), names=("", "x1 of the new sensor"))
    panel.band([one.expected_low for one in of_it], [one.expected_high for one in of_it])
    panel.line(values, SEEN)
    panel.line([one.expected for one in of_it], OURS, width=1.6)
    alarmed = found.detections.is_anomaly
    panel.dots(np.flatnonzero(alarmed).tolist(), values, ALARM)
    for row, size in OUTLIERS.items():
        x, y = panel.at(row, float(values[row]))
        seen = "flagged" if alarmed[row] else "not flagged"
        colour = ALARM if alarmed[row] else SOFT
        drawing.text(x + 8, y + 4, f"+{size:g} sigma: {seen}", size=11.5, colour=colour)
    _strip(panel, [status.value for status in found.statuses])
    marks = [(SEEN, "measured"), (OURS, "expected"), (BAND, "band, about 99 %")]
    legend(drawing, 52, [*marks, (ALARM, "anomalous row")])
    return drawing.to_text()


def _strip(panel: Panel, statuses: list[str]) -> None:
    """Draw the rows' statuses below the panel."""
    colours = {status.value: colour for status, colour in COLOURS.items()}
    first = 0
    for status, rows in groupby(statuses):
        end = first + len(list(rows))
        (left, top), (right, _) = panel.at(first, 0), panel.at(end, 0)
        panel.drawing.rect(left, top + 24, right - left, 12, colours[status])
        panel.drawing.text(left, top + 52, f"{status}, from row {first}", size=11.5, colour=SOFT)
        first = end


def _change(values: NDArray[np.float64]) -> NDArray[np.float64]:
    for row, size in OUTLIERS.items():
        values[row, SIGNAL] += size * noise_scale()[SIGNAL]
    return values
