"""The excursion of an episode: how far each signal was from its expected value."""

from dataclasses import dataclass

from sensorwatch.common.alarms.events import Event, Signal

WITHIN = "within"
"""Direction of a signal inside its expected band."""


@dataclass(frozen=True, slots=True)
class ExcursionSignal:
    """The deviations of one signal in the events of an episode, in the signal's unit."""

    name: str
    attribution: float
    """Highest attribution in a row."""
    start: float
    """Deviation in the first row of the episode, with its sign; 0 if its event was not read."""
    peak: float
    """Largest size of the deviation."""
    directions: tuple[str, ...] = ()
    """`low`, `high` or both; empty if the signal was always within its expected band."""


@dataclass(frozen=True, slots=True)
class Excursion:
    """The excursion of an episode so far."""

    signals: tuple[ExcursionSignal, ...] = ()
    """The signals, in the order of the first event."""
    patterns: tuple[str, ...] = ()
    """The patterns of the events, in the order of their first occurrence."""
    rows: int = 0
    """Number of rows whose events were read."""
    last_row: int = 0
    """Number of the newest of these rows in its episode."""

    @property
    def leading(self) -> ExcursionSignal | None:
        """Return the signal with the highest attribution; None if there are no signals."""
        return max(self.signals, key=lambda signal: signal.attribution, default=None)


NO_EXCURSION = Excursion()


def next_excursion(excursion: Excursion, event: Event) -> Excursion:
    """Return the excursion after the event of a further row."""
    known = {signal.name: signal for signal in excursion.signals}
    for signal in event.signals:
        known[signal.name] = _next_signal(known.get(signal.name), signal, event.episode.rows == 1)
    patterns = excursion.patterns
    if event.pattern and event.pattern not in patterns:
        patterns = (*patterns, event.pattern)
    is_new_row = event.episode.rows > excursion.last_row
    return Excursion(
        tuple(known.values()),
        patterns,
        excursion.rows + is_new_row,
        max(excursion.last_row, event.episode.rows),
    )


def _next_signal(before: ExcursionSignal | None, signal: Signal, is_first: bool) -> ExcursionSignal:
    deviation = signal.actual - _expected(signal)
    attribution = signal.attribution or 0.0
    directions = before.directions if before else ()
    if signal.direction != WITHIN and signal.direction not in directions:
        directions = (*directions, signal.direction)
    if before is None:
        return ExcursionSignal(
            signal.name,
            attribution,
            deviation if is_first else 0.0,
            abs(deviation),
            directions,
        )
    return ExcursionSignal(
        signal.name,
        max(before.attribution, attribution),
        before.start,
        max(before.peak, abs(deviation)),
        directions,
    )


def _expected(signal: Signal) -> float:
    if signal.expected is not None:
        return signal.expected
    return (signal.expected_low + signal.expected_high) / 2.0
