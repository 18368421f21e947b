"""The HTML templates of the page. Every value in them is escaped."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from sensorwatch.api.page.signal_plots import range_plot, severity_class
from sensorwatch.common import escaping
from sensorwatch.common.alarms.events import Signal
from sensorwatch.common.alarms.page_links import sensor_address
from sensorwatch.common.rows.durations import duration_text

TEMPLATE_FOLDER = Path(__file__).parent / "templates"
STATIC_FOLDER = Path(__file__).parent / "static"
MAX_SIGNALS = 3
"""An incident shows at most this number of signals."""


def render(template: str, **values: Any) -> str:
    """Return a template with its values as HTML."""
    return _environment.get_template(template).render(values)


def time_tag(moment: datetime) -> Markup:
    """Return a time as HTML; a script of the page shows it in the zone of the browser."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    machine_text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return Markup('<time datetime="{}">{} UTC</time>').format(machine_text, text)


def moment_of(seconds: float) -> datetime:
    """Return a time in seconds since 1970 UTC as a datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def number_text(number: float) -> str:
    """Return a number with four digits."""
    return f"{number:.4g}"


def rate_text(rate: float) -> str:
    """Return a rate as text: with one decimal below 10, without decimals from 10 on."""
    return f"{rate:.1f}" if 0 < rate < 10 else f"{rate:,.0f}"


def visible_text(text: str) -> Markup:
    """Return a text as HTML, with control and invisible characters shown as escapes."""
    return escape(escaping.escape(text))


def main_signals(signals: tuple[Signal, ...]) -> list[Signal]:
    """Return the signals that explain an alarm, the most important first."""
    ranked = sorted(
        signals,
        key=lambda signal: (-(signal.attribution or 0.0), signal.direction == "within"),
    )
    return ranked[:MAX_SIGNALS]


_environment = Environment(
    loader=FileSystemLoader(TEMPLATE_FOLDER),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "address": sensor_address,
    "duration": duration_text,
    "main_signals": main_signals,
    "moment": moment_of,
    "number": number_text,
    "range_plot": range_plot,
    "rate": rate_text,
    "severity_class": severity_class,
    "time": time_tag,
    "visible": visible_text,
}
