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


def unusual(event: Event) -> Parts:
    """Yield the signals outside of their training band, with what was expected of them."""
    outside = _outside(event)
    for position, signal in enumerate(outside):
        yield "; " if position else "", ""
        actual, low, high = _numbers(signal)
        yield f"{printable(signal.name)} {actual}", "bold"
        yield f", expected {low} to {high}, {printable(signal.direction)}", ""
    if not outside:
        yield "every signal within its training band, their combination is unusual", "dim"


def briefly(event: Event) -> Parts:
    """Yield the first signal outside of its training band and the names of the others."""
    outside = _outside(event)
    if not outside:
        yield "the signals' combination", "dim"
        return
    first, *others = outside
    actual, low, high = _numbers(first)
    yield f"{printable(first.name)} {actual} {printable(first.direction)}", "bold"
    yield f" ({low} to {high})", ""
    if others:
        yield f"; {', '.join(printable(signal.name) for signal in others)} too", "dim"


def printable(text: str) -> str:
    """Escape what a terminal would obey: ids come from whoever writes to the topic."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _outside(event: Event) -> list[Signal]:
    return [signal for signal in event.signals if signal.direction != "within"]


def _numbers(signal: Signal) -> tuple[str, str, str]:
    """Write actual and band with 4 digits, or as many more as tell the actual from the band."""
    numbers = (signal.actual, signal.expected_low, signal.expected_high)
    for digits in range(4, 18):
        actual, low, high = (f"{number:.{digits}g}" for number in numbers)
        if (actual == low) <= (numbers[0] == numbers[1]) and (actual == high) <= (
            numbers[0] == numbers[2]
        ):
            break
    return actual, low, high
