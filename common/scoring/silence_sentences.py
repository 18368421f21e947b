"""The sentences of the events of silent sensors."""

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.silence_rule import SensorSilence

_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))


def silence_sentence(silence: SensorSilence) -> str:
    """Return the sentence that says how long a sensor has sent no row.

    >>> silence = SensorSilence(
    ...     0, 7, 720_000_000, "pump-7", 0, 720_000_000, 60_000_000, "critical", 7, 0,
    ...     is_back=False)
    >>> silence_sentence(silence)
    'pump-7 has sent no row for 12 min (since 1970-01-01 00:00 UTC); it normally sends one every \
60 s'
    """
    since = format_instant(silence.last)[:16].replace("T", " ")
    silent_text = duration_text(silence.silent_time / 1e6)
    if silence.is_back:
        return f"{silence.sensor_id} sends rows again, after {silent_text} (since {since} UTC)"
    sentence = f"{silence.sensor_id} has sent no row for {silent_text} (since {since} UTC)"
    if silence.cadence == 0:
        return sentence
    return f"{sentence}; it normally sends one every {duration_text(silence.cadence / 1e6)}"


def duration_text(seconds: float) -> str:
    """Return a duration in the largest unit that it contains at least twice.

    >>> [duration_text(seconds) for seconds in (0.5, 60, 720, 5_400, 250_000)]
    ['0.5 s', '60 s', '12 min', '90 min', '2.9 days']
    """
    for unit_seconds, unit in _UNITS:
        if seconds >= 2 * unit_seconds:
            return (
                f"{seconds / unit_seconds:.2g} {unit}"
                if seconds < 10 * unit_seconds
                else (f"{seconds / unit_seconds:.0f} {unit}")
            )
    return f"{seconds:.3g} s"
