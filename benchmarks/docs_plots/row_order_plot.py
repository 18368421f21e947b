"""Late, duplicate and missing rows, and what each row was called."""

import numpy as np

from benchmarks.docs_plots.panel import Panel, legend, titled_drawing
from benchmarks.docs_plots.scored_sensor import MINUTE_FLEET, score_sensor
from benchmarks.report.svg import OURS, PUBLISHED, TEXT_COLOUR, TRIVIAL
from sensorwatch.common.scoring.status import Status

MINUTES = (*range(11), *(4, 5, 6), 11, 12, 12, *range(13, 18), *range(45, 54))
"""When each row was measured: three come again late, one twice, and then a line was cut."""
COLOURS = {
    Status.SCORED: OURS,
    Status.LATE: "#e8590c",
    Status.DUPLICATE: PUBLISHED,
    Status.GAP: TEXT_COLOUR,
    Status.WARMING_UP: "#f2b705",
}
STATUS_NOTES = {
    Status.LATE: (11.2, 1.0, "late: scored without memory, which stays as it is"),
    Status.DUPLICATE: (16.4, 9.2, "duplicate: treated as late"),
    Status.GAP: (21.4, 47.6, "gap: the rows before it no longer count"),
}


def draw() -> str:
    """Draw it."""
    scored = score_sensor(MINUTE_FLEET, 1, slice(0, len(MINUTES)), seconds=60 * np.asarray(MINUTES))
    drawing = titled_drawing("Rows in the order they came, and when they were measured", 400)
    panel = Panel(drawing, 84, 340, (-0.7, len(MINUTES) - 0.3), (-2, 56))
    panel.axes(
        x=range(0, len(MINUTES), 5),
        y=range(0, 56, 10),
        axis_names=("row, as it came", "measured at, minutes"),
    )
    panel.line(np.maximum.accumulate(np.asarray(MINUTES, dtype=np.float64)), TRIVIAL, width=3)
    for row, status in enumerate(scored.statuses):
        drawing.dot(*panel.at(row, MINUTES[row]), COLOURS[status], radius=5)
    for status, (x, y, words) in STATUS_NOTES.items():
        text_anchor = "end" if status is Status.GAP else "start"
        label_position = panel.at(x + (1.2 if text_anchor == "start" else 0), y)
        drawing.text(*label_position, words, size=11.5, colour=COLOURS[status], anchor=text_anchor)
    statuses_present = [status for status in COLOURS if status in scored.statuses]
    marks = [(COLOURS[status], status.value) for status in statuses_present]
    legend(drawing, 52, [*marks, (TRIVIAL, "newest time that memory has seen")])
    return drawing.to_text()
