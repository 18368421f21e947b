"""Format an event of the anomaly topic as one line of text."""

from collections.abc import Iterator

from sensorwatch.common.alarms.events import (
    AcceptedEvent,
    AnyEvent,
    BackEvent,
    ClosingEvent,
    Event,
    MessageEvent,
    Signal,
    SignalLevel,
)
from sensorwatch.common.rows.durations import duration_text

SEVERITY_STYLES = {
    "info": "dim",
    "warning": "yellow",
    "major": "bold bright_red",
    "critical": "bold white on red",
    "stale": "bold magenta",
}
CLOSED_STYLE = "green"

StyledParts = Iterator[tuple[str, str]]
"""The parts of a line, in order: each part is a text and its style (a style name of rich)."""


def line_parts(event: AnyEvent) -> StyledParts:
    """Yield the parts of the line that shows an event: time, sensor, severity, score and reason.

    The group of the sensor follows the sensor, unless it is empty.
    """
    yield f"{event.event_time}  ", "dim"
    yield f"{event.sensor_id:<12}", "bold cyan"
    if event.group:
        yield f"  in {event.group:<8}", "cyan"
    yield f"  {event.severity:<8} ", SEVERITY_STYLES.get(event.severity, "")
    if isinstance(event, ClosingEvent):
        yield f" {event.peak:5.2f}  ", "bold"
        yield from closing_text(event)
        return
    if isinstance(event, AcceptedEvent):
        yield "        ", ""  # the event has no score
        yield from accepted_text(event)
        return
    if isinstance(event, MessageEvent):
        yield f"        {event.message}", CLOSED_STYLE if isinstance(event, BackEvent) else "bold"
        return
    yield f" {event.worst_score:5.2f}  ", "bold"
    yield from full_reason(event)
    notes = [] if event.status == "scored" else [event.status.replace("_", " ")]
    if event.episode.rows > 1:
        notes.append(f"row {event.episode.rows} of its episode")
    if notes:
        yield f"  ({', '.join(notes)})", "dim"


def closing_text(closing_event: ClosingEvent) -> StyledParts:
    """Yield the text of a closed episode: its rows and duration."""
    yield "closed", CLOSED_STYLE
    yield f" after {_row_count(closing_event.rows)}", ""
    if closing_event.rows > 1:
        yield f" in {duration_text(closing_event.duration_seconds)}", ""


def accepted_text(accepted_event: AcceptedEvent) -> StyledParts:
    """Yield the text of an accepted level: both levels, and the number of rows until then."""
    changed_signals = [
        signal for signal in accepted_event.signals if signal.level_after != signal.level_before
    ]
    yield "accepted", CLOSED_STYLE
    yield f" after {_row_count(accepted_event.rows)}", ""
    for position, signal in enumerate(changed_signals):
        yield "; " if position else ": ", ""
        yield f"level of {signal.name} {_levels_text(signal)}", "bold"
    if not changed_signals:
        yield ": its scores are usual now", ""


def full_reason(event: Event) -> StyledParts:
    """Yield the event's message.

    If the event has no message, yield the signals that explain the alarm, and their ranges.
    """
    if event.message:
        yield event.message, "bold"
        return
    signals = _explaining_signals(event)
    for position, signal in enumerate(signals):
        yield "; " if position else "", ""
        actual, low, high = _number_texts(signal)
        note = " (held value)" if signal.held else ""
        yield f"{signal.name} {actual}{note}", "bold"
        yield f", expected {low} to {high}, {signal.direction}", ""
        if signal.attribution is not None:
            yield f", {100 * signal.attribution:.0f} %", ""
    if not signals:
        yield "each signal is in its training band, but their combination is unusual", "dim"


def short_reason(event: Event) -> StyledParts:
    """Yield the first signal that explains the alarm, and the names of further signals."""
    signals = _explaining_signals(event)
    if not signals:
        yield "combination of signals", "dim"
        return
    first_signal, *further_signals = signals
    actual, low, high = _number_texts(first_signal)
    direction = "" if first_signal.direction == "within" else f" {first_signal.direction}"
    share = "" if first_signal.attribution is None else f", {100 * first_signal.attribution:.0f} %"
    yield f"{first_signal.name} {actual}{direction}", "bold"
    yield f" ({low} to {high}){share}", ""
    if further_signals:
        yield f"; {', '.join(signal.name for signal in further_signals)} too", "dim"


def _explaining_signals(event: Event) -> list[Signal]:
    """Return the signal with the highest attribution.

    If no signal has an attribution, return all signals outside their expected band.
    """
    signals_with_attribution = [
        signal for signal in event.signals if signal.attribution is not None
    ]
    if signals_with_attribution:
        return [max(signals_with_attribution, key=lambda signal: signal.attribution or 0.0)]
    return [signal for signal in event.signals if signal.direction != "within"]


def _number_texts(signal: Signal) -> tuple[str, str, str]:
    """Return a signal's value and both ends of its expected band as texts.

    The texts have 4 digits, or more if the value would otherwise look equal to an end of the band.
    """
    values = (signal.actual, signal.expected_low, signal.expected_high)
    for digits in range(4, 18):
        texts = [f"{number:.{digits}g}" for number in values]
        actual, low, high = texts
        if (actual == low) <= (values[0] == values[1]) and (actual == high) <= (
            values[0] == values[2]
        ):
            break
    if not any("e" in text for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        actual, low, high = (f"{number:.{decimals}f}" for number in values)
    return actual, low, high


def _levels_text(signal: SignalLevel) -> str:
    """Return both levels with 4 digits, or with more digits if the 4 digits are equal."""
    for digits in range(4, 18):
        before, after = (f"{v:.{digits}g}" for v in (signal.level_before, signal.level_after))
        if before != after:
            break
    return f"{before} before, {after} now"


def _row_count(rows: int) -> str:
    return "1 row" if rows == 1 else f"{rows} rows"
