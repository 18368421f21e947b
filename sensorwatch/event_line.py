"""An event of the anomaly topic as one line for people."""

from collections.abc import Iterator

import msgspec

from sensorwatch.common.kafka.records import Record, header_value
from sensorwatch.consumer.publishing.events import EventType

SEVERITY_STYLES = {"warning": "yellow", "major": "bold bright_red", "critical": "bold white on red"}
OVER_STYLE = "green"

Parts = Iterator[tuple[str, str]]
"""Text and rich's style of it."""


class Signal(msgspec.Struct, frozen=True):
    """What an event says of one signal; see common/messaging/events.py."""

    name: str
    actual: float
    expected_low: float
    expected_high: float
    direction: str
    attribution: float | None = None
    held: bool = False


class Episode(msgspec.Struct, frozen=True):
    """What an event says of the row's episode."""

    rows: int
    peak: float | None = None


class Event(msgspec.Struct, frozen=True):
    """What a line needs of an anomalous row's event; the rest is skipped."""

    event_id: str
    sensor_id: str
    event_time: str
    model_version: str
    anomaly_score: float
    severity: str
    signals: list[Signal]
    status: str = "scored"
    episode: Episode = Episode(rows=1)

    @property
    def worst(self) -> float:
        """The episode's worst score so far: a score of what is new says little to people."""
        return self.anomaly_score if self.episode.peak is None else self.episode.peak


class Closing(msgspec.Struct, frozen=True):
    """What a line needs of the event of an episode's end."""

    event_id: str
    sensor_id: str
    event_time: str
    duration_seconds: float
    rows: int
    peak: float
    severity: str


_DECODERS: dict[bytes | None, msgspec.json.Decoder[Event] | msgspec.json.Decoder[Closing]] = {
    EventType.DETECTED.encode(): msgspec.json.Decoder(Event),
    EventType.CLOSED.encode(): msgspec.json.Decoder(Closing),
}


def read_event(record: Record) -> Event | Closing | None:
    """Read a record of the anomaly topic by its header `ce_type`, or None where it is no event."""
    decoder = _DECODERS.get(header_value(record, "ce_type"))
    try:
        return None if decoder is None else decoder.decode(record.value() or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def line_of(event: Event | Closing) -> Parts:
    """Yield time, sensor, severity, score and what was unusual, each with its style."""
    yield f"{printable(event.event_time)}  ", "dim"
    yield f"{printable(event.sensor_id):<12}", "bold cyan"
    if isinstance(event, Closing):
        yield f"  {'over':<8} ", OVER_STYLE
        yield f" {event.peak:5.2f}  ", "bold"
        yield from course(event)
        return
    yield f"  {event.severity:<8} ", SEVERITY_STYLES.get(event.severity, "")
    yield f" {event.worst:5.2f}  ", "bold"
    yield from unusual(event)
    notes = [] if event.status == "scored" else [printable(event.status).replace("_", " ")]
    if event.episode.rows > 1:
        notes.append(f"row {event.episode.rows} of its episode")
    if notes:
        yield f"  ({', '.join(notes)})", "dim"


def course(closing: Closing) -> Parts:
    """Yield how long the episode was, and how bad at its worst."""
    rows = "1 row" if closing.rows == 1 else f"{closing.rows} rows"
    yield f"the episode of {rows} has ended", ""
    if closing.rows > 1:
        yield f", it went on for {_duration(closing.duration_seconds)}", ""
    yield f", at worst {printable(closing.severity)}", ""


def unusual(event: Event) -> Parts:
    """Yield the signals to blame, with what was expected of them."""
    reasons = _reasons(event)
    for position, signal in enumerate(reasons):
        yield "; " if position else "", ""
        actual, low, high = _numbers(signal)
        held = " (held)" if signal.held else ""
        yield f"{printable(signal.name)} {actual}{held}", "bold"
        yield f", expected {low} to {high}, {printable(signal.direction)}", ""
        if signal.attribution is not None:
            yield f", {100 * signal.attribution:.0f} %", ""
    if not reasons:
        yield "every signal within its training band, their combination is unusual", "dim"


def briefly(event: Event) -> Parts:
    """Yield the first signal to blame and the names of the others."""
    reasons = _reasons(event)
    if not reasons:
        yield "the signals' combination", "dim"
        return
    first, *others = reasons
    actual, low, high = _numbers(first)
    where = "" if first.direction == "within" else f" {printable(first.direction)}"
    share = "" if first.attribution is None else f", {100 * first.attribution:.0f} %"
    yield f"{printable(first.name)} {actual}{where}", "bold"
    yield f" ({low} to {high}){share}", ""
    if others:
        yield f"; {', '.join(printable(signal.name) for signal in others)} too", "dim"


def printable(text: str) -> str:
    """Escape what a terminal would obey: ids come from whoever writes to the topic."""
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _reasons(event: Event) -> list[Signal]:
    """Return the signal that most is attributed to; without attributions all outside the band."""
    attributed = [signal for signal in event.signals if signal.attribution is not None]
    if attributed:
        return [max(attributed, key=lambda signal: signal.attribution or 0.0)]
    return [signal for signal in event.signals if signal.direction != "within"]


def _numbers(signal: Signal) -> tuple[str, str, str]:
    """Write actual and band with 4 digits, or as many more as tell the actual from the band."""
    numbers = (signal.actual, signal.expected_low, signal.expected_high)
    for digits in range(4, 18):
        texts = [f"{number:.{digits}g}" for number in numbers]
        actual, low, high = texts
        if (actual == low) <= (numbers[0] == numbers[1]) and (actual == high) <= (
            numbers[0] == numbers[2]
        ):
            break
    if not any("e" in text for text in texts):
        decimals = max(len(text.partition(".")[2]) for text in texts)
        actual, low, high = (f"{number:.{decimals}f}" for number in numbers)
    return actual, low, high


def _duration(seconds: float) -> str:
    """Write a duration in the largest unit of which it is at least two."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{_short(seconds / size)} {unit}"
    return f"{_short(seconds)} s"


def _short(number: float) -> str:
    return f"{number:.1f}".removesuffix(".0")
