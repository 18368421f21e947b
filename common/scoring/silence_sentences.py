"""The sentences of the events of silent sensors."""

from sensorwatch.common.rows.durations import duration_text
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.silence_rule import SensorSilence


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
