"""Small plots of signals with their expected bands, as SVG without styles or scripts.

The style sheet of the page gives the colours, so that a plot follows the light or dark scheme.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from sensorwatch.common.alarms.events import Signal

RANGE_WIDTH, RANGE_HEIGHT = 240.0, 28.0
TIMELINE_WIDTH, TIMELINE_HEIGHT = 720.0, 120.0
_SEVERITIES = ("critical", "major", "warning", "info")
_MARGIN = 8.0
_MIN_BAND_PIXELS = 4.0
_MAX_SIZE = 1e300
"""Values are limited to this size, so that the difference of two values is finite."""


@dataclass(frozen=True, slots=True)
class TimelinePoint:
    """One value of a signal."""

    seconds: float
    """Event time since 1970 UTC."""
    value: float
    severity: str


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values between `low` and `high` to pixels between `first` and `last`."""

    low: float
    high: float
    first: float
    last: float

    def pixel(self, value: float) -> float:
        """Return the pixel of a value."""
        size = self.high - self.low
        share = 0.5 if size <= 0 else (limited(value) - self.low) / size
        return self.first + share * (self.last - self.first)


def range_plot(signal: Signal) -> Markup:
    """Return a plot of one value beside its expected band."""
    values = (signal.actual, signal.expected_low, signal.expected_high)
    scale = scale_of(values, _MARGIN, RANGE_WIDTH - _MARGIN)
    middle = RANGE_HEIGHT / 2
    low, high = scale.pixel(signal.expected_low), scale.pixel(signal.expected_high)
    is_outside = not signal.expected_low <= signal.actual <= signal.expected_high
    actual_class = "actual outside" if is_outside else "actual"
    return svg_of(
        RANGE_WIDTH,
        RANGE_HEIGHT,
        "range-plot",
        [
            _line("axis", 0, middle, RANGE_WIDTH, middle),
            rectangle("band", low, 7, max(high - low, _MIN_BAND_PIXELS), RANGE_HEIGHT - 14),
            circle(actual_class, scale.pixel(signal.actual), middle, 5),
        ],
    )


def timeline_plot(points: Sequence[TimelinePoint], low: float, high: float) -> Markup:
    """Return a plot of the values of a signal over time, with its expected band.

    `points`: at least one point. `low`, `high`: the limits of the band.
    """
    x_scale = scale_of([point.seconds for point in points], _MARGIN, TIMELINE_WIDTH - _MARGIN)
    values = [low, high, *(point.value for point in points)]
    y_scale = scale_of(values, TIMELINE_HEIGHT - _MARGIN, _MARGIN)
    top, bottom = y_scale.pixel(high), y_scale.pixel(low)
    pixels = [(x_scale.pixel(point.seconds), y_scale.pixel(point.value)) for point in points]
    corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in pixels)
    shapes = [
        rectangle("band", 0, top, TIMELINE_WIDTH, max(bottom - top, _MIN_BAND_PIXELS)),
        f'<polyline class="trace" points="{corners}"/>',
    ]
    shapes += [
        circle(f"point {severity_class(point.severity)}", x, y, 4)
        for point, (x, y) in zip(points, pixels, strict=True)
    ]
    return svg_of(TIMELINE_WIDTH, TIMELINE_HEIGHT, "timeline-plot", shapes)


def scale_of(values: Sequence[float], first: float, last: float) -> Scale:
    """Return a scale for at least one value."""
    sizes = [limited(value) for value in values]
    return Scale(min(sizes), max(sizes), first, last)


def limited(value: float) -> float:
    """Return a value within the size that plots can show."""
    return min(max(value, -_MAX_SIZE), _MAX_SIZE)


def severity_class(severity: str) -> str:
    """Return the CSS class of a severity; a severity that is not known has a class of its own."""
    return f"severity-{severity if severity in _SEVERITIES else 'unknown'}"


def svg_of(width: float, height: float, class_name: str, shapes: Sequence[str]) -> Markup:
    """Return a drawing; the shapes must contain only numbers and fixed texts."""
    start_tag = (
        f'<svg class="{class_name}" viewBox="0 0 {width:g} {height:g}" aria-hidden="true" '
        'focusable="false">'
    )
    # Every part is a number or a fixed text, so there is no text to escape.
    return Markup(f"{start_tag}{''.join(shapes)}</svg>")  # noqa: S704 - numbers and class names


def _line(class_name: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{class_name}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def rectangle(class_name: str, x: float, y: float, width: float, height: float) -> str:
    """Return a rectangle."""
    size = f'width="{width:.1f}" height="{height:.1f}"'
    return f'<rect class="{class_name}" x="{x:.1f}" y="{y:.1f}" {size} rx="2"/>'


def circle(class_name: str, x: float, y: float, radius: float) -> str:
    """Return a circle."""
    return f'<circle class="{class_name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}"/>'
