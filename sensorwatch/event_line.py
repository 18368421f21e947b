"""An anomaly event as one line for people."""

from collections.abc import Iterator

import msgspec

SEVERITY_STYLES = {"warning": "yellow", "major": "bold bright_red", "critical": "bold white on red"}

Parts = Iterator[tuple[str, str]]
"""Text and rich's style of it."""


class Signal(msgspec.Struct, frozen=True):
    """What an event says of one signal; see common/messaging/events.py."""

    name: str
    actual: float
    expected_low: float
    expected_high: float
    direction: str


class Event(msgspec.Struct, frozen=True):
    """What a line needs of an event; the rest is skipped."""

    event_id: str
    sensor_id: str
    event_time: str
    model_version: str
    anomaly_score: float
    severity: str
    signals: list[Signal]


_decoder = msgspec.json.Decoder(Event)


def read_event(value: bytes | None) -> Event | None:
    """Read a record of the anomaly topic, or None where it is no event."""
    try:
        return _decoder.decode(value or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def line_of(event: Event) -> Parts:
    """Yield time, sensor, severity, score and what was unusual, each with its style."""
    yield f"{printable(event.event_time)}  ", "dim"
    yield f"{printable(event.sensor_id):<12}", "bold cyan"
    yield f"  {event.severity:<8} ", SEVERITY_STYLES.get(event.severity, "")
    yield f" {event.anomaly_score:5.2f}  ", "bold"
    yield from unusual(event)


def unusual(event: Event, *, most: int | None = None) -> Parts:
    """Yield the signals outside of their training band, with what was expected of them.

    `most`: of how many of them all is said; the others are only named. None: of all.
    """
    outside = [signal for signal in event.signals if signal.direction != "within"]
    for position, signal in enumerate(outside[:most]):
        yield "; " if position else "", ""
        yield f"{printable(signal.name)} {signal.actual:.4g}", "bold"
        expected = f"{signal.expected_low:.4g} to {signal.expected_high:.4g}"
        yield f", expected {expected}, {printable(signal.direction)}", ""
    if rest := [] if most is None else outside[most:]:
        yield f"; {', '.join(printable(signal.name) for signal in rest)} too", "dim"
    if not outside:
        yield "every signal within its training band, their combination is unusual", "dim"


def printable(text: str) -> str:
    """Escape what a terminal would obey: ids come from whoever writes to the topic."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()
