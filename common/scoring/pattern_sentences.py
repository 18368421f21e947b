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
    declared_signals = detector.schema.signals
    names = np.asarray(detector.schema.signal_names, dtype=object)
    units = np.asarray([_unit_text(signal.unit) for signal in declared_signals], dtype=object)
    positions = np.asarray(model_positions(declared_signals))
    row_index = np.arange(len(rows))
    rank = np.zeros(len(rows), dtype=np.int64)
    repeats = detections.evidence.repeats[rows][:, positions]
    repeat_share = np.ones(len(rows))
    if detector.forecast is not None:
        rarity_of_repeat = detector.forecast.repeat_nats[positions]
        stuck_signal = (repeats * rarity_of_repeat).argmax(axis=1)
        is_stuck = patterns == PATTERNS.index(Pattern.STUCK)
        stuck_rank = (signals.signal == stuck_signal[:, np.newaxis]).argmax(axis=1)
        rank = np.where(is_stuck, stuck_rank, 0)
        repeat_share = np.exp(-rarity_of_repeat)[stuck_signal]
        repeats = repeats[row_index, stuck_signal]
    else:
        repeats = repeats[:, 0]
    leading = signals.signal[row_index, rank]
    second_rank = min(1, len(declared_signals) - 1)
    other_names = names[signals.signal[:, second_rank]] if second_rank else [""] * len(rows)
    actual = signals.actual[row_index, rank]
    season = detector.guard.season.to_plain() if detector.guard else "none"
    cycle = "hour of the week" if season == "week" else "hour"
    columns = (
        names[leading].tolist(),
        list(other_names),
        units[leading].tolist(),
        actual.tolist(),
        (actual - signals.expected[row_index, rank]).tolist(),
        (signals.expected_high - signals.expected_low)[row_index, rank].tolist(),
        _since_texts(detections.episode_time[rows], outcome.readings.event_time[rows]),
        (repeats + 1).tolist(),
        repeat_share.tolist(),
        _is_moving(outcome, rows, positions[leading]).tolist(),
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


def _difference_text(row: _Row) -> str:
    """Return the difference from the expected value as text, in the signal's unit and in sigma."""
    sigma_text = ""
    if row.band > 0.0:
        size = _difference_in_sigma(row)
        sigma_text = f" ({size:.2g} sigma)" if size < 10 else f" ({min(size, 999.0):.0f} sigma)"
    return f"{abs(row.difference):.3g}{row.unit}{sigma_text}"


def _difference_in_sigma(row: _Row) -> float:
    """Return the difference from the expected value, in sigma; infinite without a band."""
    return abs(row.difference) / (row.band / (2.0 * BAND_SPREADS)) if row.band > 0.0 else np.inf


def _sentence_of_usual_level(row: _Row) -> str:
    return f"{row.name} {_value_text(row)} is back at its usual level, alarm since {row.since}"


def _side_text(row: _Row) -> str:
    return "above" if row.difference >= 0.0 else "below"


def _value_text(row: _Row) -> str:
    return f"{row.actual:.5g}{row.unit}"


def _sentence_of_normal(_row: _Row) -> str:
    return ""


def _sentence_of_spike(row: _Row) -> str:
    difference = f"{_difference_text(row)} {_side_text(row)}"
    return f"{row.name} jumped to {_value_text(row)}, {difference} expected"


def _sentence_of_level_shift(row: _Row) -> str:
    if _difference_in_sigma(row) < AT_USUAL_LEVEL_SIGMAS:
        return _sentence_of_usual_level(row)
    difference = f"{_difference_text(row)} {_side_text(row)}"
    return f"{row.name} runs {difference} its usual level since {row.since}"


def _sentence_of_drift(row: _Row) -> str:
    if _difference_in_sigma(row) < AT_USUAL_LEVEL_SIGMAS:
        return _sentence_of_usual_level(row)
    moving_text = ""
    if row.is_moving:
        moving_text = " and still rising" if row.difference >= 0.0 else " and still falling"
    difference = f"{_difference_text(row)} {_side_text(row)}"
    return (
        f"{row.name} has drifted to {difference} its usual level{moving_text}, "
        f"alarm since {row.since}"
    )


def _sentence_of_noise(row: _Row) -> str:
    return f"{row.name} varies much more than usual since {row.since}"


def _sentence_of_stuck(row: _Row) -> str:
    rows = "every row"
    if row.repeat_share > CHANGES_EVERY_ROW:
        rows = f"every {1.0 / max(1.0 - row.repeat_share, 1e-6):.2g} rows"
    times = f"{row.repeated_rows} rows, alarm since {row.since}"
    if row.repeated_rows == 1:
        return f"{row.name} changes again after an unusually long time without a change"
    return f"{row.name} has repeated {_value_text(row)} for {times}; it normally changes {rows}"


def _sentence_of_broken_correlation(row: _Row) -> str:
    if not row.other:
        return _sentence_of_unusual(row)
    return f"{row.name} and {row.other} no longer move together since {row.since}"


def _sentence_of_out_of_season(row: _Row) -> str:
    side = "higher" if row.difference >= 0.0 else "lower"
    difference = f"{_difference_text(row)} {side}"
    return f"{row.name} {_value_text(row)} is {difference} than usual at this {row.cycle}"


def _sentence_of_unusual(row: _Row) -> str:
    if 0.0 < row.band < 2.0 * abs(row.difference):
        return (
            f"{row.name} {_value_text(row)} is {_difference_text(row)} {_side_text(row)} expected"
        )
    other_names = "the other signals" if row.other else "the previous rows"
    return f"{row.name} {_value_text(row)} is unusual beside {other_names}"


_SENTENCE_OF: dict[Pattern, Callable[[_Row], str]] = {
    Pattern.NONE: _sentence_of_normal,
    Pattern.SPIKE: _sentence_of_spike,
    Pattern.LEVEL_SHIFT: _sentence_of_level_shift,
    Pattern.DRIFT: _sentence_of_drift,
    Pattern.NOISE: _sentence_of_noise,
    Pattern.STUCK: _sentence_of_stuck,
    Pattern.BROKEN_CORRELATION: _sentence_of_broken_correlation,
    Pattern.OUT_OF_SEASON: _sentence_of_out_of_season,
    Pattern.UNUSUAL: _sentence_of_unusual,
}
_SENTENCES = tuple(_SENTENCE_OF[pattern] for pattern in PATTERNS)
