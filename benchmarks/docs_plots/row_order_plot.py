"""Draw a stream with late, duplicate and missing rows, and the status of each row."""

import numpy as np

from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from sensorwatch.common.scoring.status import Status
from sensorwatch.common.svg import OUR_COLOUR, PUBLISHED_COLOUR, TEXT_COLOUR, TRIVIAL_COLOUR
from sensorwatch.common.svg_panel import Panel, legend, titled_drawing

MEASURED_MINUTES = (*range(11), *(4, 5, 6), 11, 12, 12, *range(13, 18), *range(45, 54))
"""Minute at which each row was measured; there are three late rows, a duplicate, and a gap."""
STATUS_COLOURS = {
    Status.SCORED: OUR_COLOUR,
    Status.LATE: "#e8590c",
    Status.DUPLICATE: PUBLISHED_COLOUR,
    Status.GAP: TEXT_COLOUR,
    Status.WARMING_UP: "#f2b705",
}
STATUS_NOTES = {
    Status.LATE: (11.2, 1.0, "late: scored without memory, which stays as it is"),
    Status.DUPLICATE: (16.4, 9.2, "duplicate: treated as late"),
    Status.GAP: (21.4, 47.6, "gap: the rows before it no longer count"),
}


def draw() -> str:
    """Return the plot as SVG text."""
    scored_sensor = score_sensor(
        MINUTE_FLEET, 1, slice(0, len(MEASURED_MINUTES)), seconds=60 * np.asarray(MEASURED_MINUTES)
    )
    drawing = titled_drawing("Rows in the order they came, and when they were measured", 400)
    panel = Panel(drawing, 84, 340, (-0.7, len(MEASURED_MINUTES) - 0.3), (-2, 56))
    panel.axes(
        x=range(0, len(MEASURED_MINUTES), 5),
        y=range(0, 56, 10),
        axis_names=("row, as it came", "measured at, minutes"),
    )
    panel.line(
        np.maximum.accumulate(np.asarray(MEASURED_MINUTES, dtype=np.float64)),
        TRIVIAL_COLOUR,
        width=3,
    )
    for row, status in enumerate(scored_sensor.statuses):
        drawing.dot(*panel.pixel(row, MEASURED_MINUTES[row]), STATUS_COLOURS[status], radius=5)
    for status, (x, y, note) in STATUS_NOTES.items():
        text_anchor = "end" if status is Status.GAP else "start"
        label_position = panel.pixel(x + (1.2 if text_anchor == "start" else 0), y)
        drawing.text(
            *label_position, note, size=11.5, colour=STATUS_COLOURS[status], anchor=text_anchor
        )
    statuses_present = [status for status in STATUS_COLOURS if status in scored_sensor.statuses]
    legend_entries = [(STATUS_COLOURS[status], status.value) for status in statuses_present]
    legend(drawing, 52, [*legend_entries, (TRIVIAL_COLOUR, "newest time that memory has seen")])
    return drawing.to_text()
