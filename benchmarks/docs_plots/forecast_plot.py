"""What memory expects of a signal whose level moves, and a fault that it does not follow."""

import numpy as np
from numpy.typing import NDArray

from benchmarks.docs_plots.panel import ALARM, BAND, SEEN, Panel, legend, paper
from benchmarks.docs_plots.scored_sensor import BY_MINUTE, Watched, watch
from benchmarks.report.svg import FAULT, OURS
from sensorwatch.common.simulation.faults import FaultKind, inject
from sensorwatch.common.simulation.sensors import noise_scale

FIRST, ROWS, AT, LENGTH = 560, 720, 540, 40
SENSOR, SIGNAL = 3, 1


def draw() -> str:
    """Draw it."""
    found = watch(BY_MINUTE, SENSOR, slice(FIRST, FIRST + ROWS), _change)
    values = found.values[:, SIGNAL]
    low, high = (float(end) for end in (np.floor(values.min()) - 1, np.ceil(values.max()) + 1))
    drawing = paper("What memory expects, and what it does not follow", 400)
    panel = Panel(drawing, 78, 340, (0, ROWS), (low, high))
    panel.shade(AT, AT + LENGTH, FAULT)
    panel.axes(
        x=range(0, ROWS + 1, 120),
        y=range(int(np.ceil(low / 5)) * 5, int(high) + 1, 5),
        names=("minutes", "x2 of one sensor"),
    )
    below, above, expected = _band(found)
    panel.band(below, above)
    panel.line(values, SEEN, width=0.8)
    panel.line(expected, OURS, width=1.6)
    panel.dots(np.flatnonzero(found.detections.is_anomaly).tolist(), values, ALARM, radius=2.6)
    marks = [(SEEN, "measured"), (OURS, "expected"), (BAND, "band, about 99 %")]
    legend(drawing, 50, [*marks, (FAULT, "4 sigma shift of x2"), (ALARM, "anomalous row")])
    return drawing.to_text()


def _change(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return inject(
        values,
        FaultKind.LEVEL_SHIFT,
        at=AT,
        length=LENGTH,
        size=4.0,
        scale=noise_scale(),
        rng=np.random.default_rng(2),
        signals=[SIGNAL],
    )


def _band(found: Watched) -> tuple[list[float], list[float], list[float]]:
    of_it = [row[SIGNAL] for row in found.signals]
    return (
        [one.expected_low for one in of_it],
        [one.expected_high for one in of_it],
        [one.expected for one in of_it],
    )
