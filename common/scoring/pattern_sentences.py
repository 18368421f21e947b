"""The sentence of an anomalous row, which describes the pattern of its episode."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import BAND_SPREADS, RankedSignals
from sensorwatch.common.scoring.patterns import PATTERNS, Pattern
from sensorwatch.common.scoring.processing import Outcome

CHANGES_EVERY_ROW = 0.05
"""Largest share of repeated values in training of a signal that normally changes at every row."""
AT_USUAL_LEVEL_SIGMAS = 1.0
"""Largest distance from the expected value, in sigma, of a value that has returned to its usual
level."""
MOVING_SCALES = 0.5
"""Difference between the offset and the smoothed offset, in scales, of a signal that still moves
away."""


class _Row(NamedTuple):
    """The values of an anomalous row that a sentence can contain."""

    name: str
    """Name of the signal with the highest attribution; for a stuck sensor, of the repeating
    signal."""
    other: str
    """Name of the signal with the second highest attribution; empty if there is only one."""
    unit: str
    """The signal's unit after a space; empty if the schema has none."""
    actual: float
    difference: float
    """The value minus the expected value."""
    band: float
    """Width of the expected band; 0 or negative for an angle whose band contains the angle 0."""
    since: str
    """Time of the episode's first row."""
    repeated_rows: int
    """Number of rows with the same value."""
    repeat_share: float
    """Share of repeated values in training."""
    is_moving: bool
    """Whether the signal still moves away from its usual level."""
    cycle: str
    """The unit of the season's cycle: `hour` (of the day) or `hour of the week`."""


def sentences(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64], signals: RankedSignals
) -> list[str]:
    """Return the sentence of each row; empty for a normal row.

    `rows`: positions of the rows in the outcome's readings. `signals`: their ranked signals, see
    `rank_signals`.
    """
    detections = outcome.detections
    patterns = detections.pattern[rows]
    declared = detector.schema.signals
    names = np.asarray(detector.schema.signal_names, dtype=object)
    units = np.asarray([_unit_text(signal.unit) for signal in declared], dtype=object)
    positions = np.asarray(model_positions(declared))
    row_index = np.arange(len(rows))
    rank = np.zeros(len(rows), dtype=np.int64)
    repeats = detections.evidence.repeats[rows][:, positions]
    repeat_share = np.ones(len(rows))
    if detector.forecast is not None:
        nats = detector.forecast.repeat_nats[positions]
        stuck = (repeats * nats).argmax(axis=1)
        is_stuck = patterns == PATTERNS.index(Pattern.STUCK)
        stuck_rank = (signals.signal == stuck[:, np.newaxis]).argmax(axis=1)
        rank = np.where(is_stuck, stuck_rank, 0)
        repeat_share = np.exp(-nats)[stuck]
        repeats = repeats[row_index, stuck]
    else:
        repeats = repeats[:, 0]
    lead = signals.signal[row_index, rank]
    other_rank = min(1, len(declared) - 1)
    others = names[signals.signal[:, other_rank]] if other_rank else [""] * len(rows)
    actual = signals.actual[row_index, rank]
    season = detector.guard.season.to_plain() if detector.guard else "none"
    cycle = "hour of the week" if season == "week" else "hour"
    columns = (
        names[lead].tolist(),
        list(others),
        units[lead].tolist(),
        actual.tolist(),
        (actual - signals.expected[row_index, rank]).tolist(),
        (signals.expected_high - signals.expected_low)[row_index, rank].tolist(),
        _since_texts(detections.episode_time[rows], outcome.readings.event_time[rows]),
        (repeats + 1).tolist(),
        repeat_share.tolist(),
        _is_moving(outcome, rows, positions[lead]).tolist(),
        [cycle] * len(rows),
    )
    return [
        _SENTENCES[pattern](_Row(*values))
        for pattern, *values in zip(patterns.tolist(), *columns, strict=True)
    ]


def _unit_text(unit: str) -> str:
    return "" if unit in ("", "1") else f" {unit}"


def _since_texts(start: NDArray[np.int64], event_time: NDArray[np.int64]) -> list[str]:
    """Return each start as a time of day; with the date if the row is from a later day."""
    return [
        f"{first[11:16]} UTC" if first[:10] == now[:10] else f"{first[:10]} {first[11:16]} UTC"
        for first, now in zip(format_instants(start), format_instants(event_time), strict=True)
    ]


def _is_moving(
    outcome: Outcome, rows: NDArray[np.int64], column: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return whether the model's signal at `column` (n,) still moves away from its usual level."""
    evidence = outcome.detections.evidence
    if evidence.offset.shape[1] == 0:
        return np.zeros(len(rows), dtype=np.bool_)
    offset, smoothed = evidence.offset[rows, column], evidence.smoothed_offset[rows, column]
    return np.asarray(np.sign(smoothed) * (offset - smoothed) > MOVING_SCALES)


def _amount(row: _Row) -> str:
    """Return the difference from the expected value as text, in the signal's unit and in sigma."""
    sigma = ""
    if row.band > 0.0:
        size = _sigmas(row)
        sigma = f" ({size:.2g} sigma)" if size < 10 else f" ({min(size, 999.0):.0f} sigma)"
    return f"{abs(row.difference):.3g}{row.unit}{sigma}"


def _sigmas(row: _Row) -> float:
    """Return the difference from the expected value, in sigma; infinite without a band."""
    return abs(row.difference) / (row.band / (2.0 * BAND_SPREADS)) if row.band > 0.0 else np.inf


def _return(row: _Row) -> str:
    return f"{row.name} {_value(row)} is back at its usual level, alarm since {row.since}"


def _side(row: _Row) -> str:
    return "above" if row.difference >= 0.0 else "below"


def _value(row: _Row) -> str:
    return f"{row.actual:.5g}{row.unit}"


def _normal(_row: _Row) -> str:
    return ""


def _spike(row: _Row) -> str:
    return f"{row.name} jumped to {_value(row)}, {_amount(row)} {_side(row)} expected"


def _level_shift(row: _Row) -> str:
    if _sigmas(row) < AT_USUAL_LEVEL_SIGMAS:
        return _return(row)
    return f"{row.name} runs {_amount(row)} {_side(row)} its usual level since {row.since}"


def _drift(row: _Row) -> str:
    if _sigmas(row) < AT_USUAL_LEVEL_SIGMAS:
        return _return(row)
    moving = ""
    if row.is_moving:
        moving = " and still rising" if row.difference >= 0.0 else " and still falling"
    return (
        f"{row.name} has drifted to {_amount(row)} {_side(row)} its usual level{moving}, "
        f"alarm since {row.since}"
    )


def _noise(row: _Row) -> str:
    return f"{row.name} varies much more than usual since {row.since}"


def _stuck(row: _Row) -> str:
    rows = "every row"
    if row.repeat_share > CHANGES_EVERY_ROW:
        rows = f"every {1.0 / max(1.0 - row.repeat_share, 1e-6):.2g} rows"
    times = f"{row.repeated_rows} rows, alarm since {row.since}"
    if row.repeated_rows == 1:
        return f"{row.name} changes again after an unusually long time without a change"
    return f"{row.name} has repeated {_value(row)} for {times}; it normally changes {rows}"


def _broken_correlation(row: _Row) -> str:
    if not row.other:
        return _unusual(row)
    return f"{row.name} and {row.other} no longer move together since {row.since}"


def _out_of_season(row: _Row) -> str:
    side = "higher" if row.difference >= 0.0 else "lower"
    return f"{row.name} {_value(row)} is {_amount(row)} {side} than usual at this {row.cycle}"


def _unusual(row: _Row) -> str:
    if 0.0 < row.band < 2.0 * abs(row.difference):
        return f"{row.name} {_value(row)} is {_amount(row)} {_side(row)} expected"
    others = "the other signals" if row.other else "the previous rows"
    return f"{row.name} {_value(row)} is unusual beside {others}"


_SENTENCE_OF: dict[Pattern, Callable[[_Row], str]] = {
    Pattern.NONE: _normal,
    Pattern.SPIKE: _spike,
    Pattern.LEVEL_SHIFT: _level_shift,
    Pattern.DRIFT: _drift,
    Pattern.NOISE: _noise,
    Pattern.STUCK: _stuck,
    Pattern.BROKEN_CORRELATION: _broken_correlation,
    Pattern.OUT_OF_SEASON: _out_of_season,
    Pattern.UNUSUAL: _unusual,
}
_SENTENCES = tuple(_SENTENCE_OF[pattern] for pattern in PATTERNS)
