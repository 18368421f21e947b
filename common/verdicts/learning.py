"""What a policy learns from a verdict on an episode."""

from dataclasses import dataclass
from math import ceil

from sensorwatch.common.alarms.episode_states import SILENT_PATTERN, EpisodeState
from sensorwatch.common.alarms.excursion import ExcursionSignal
from sensorwatch.common.policy.learned import (
    SIGNS,
    LearnedSignal,
    LearnedSuppression,
    learned_name,
)
from sensorwatch.common.policy.rules import Direction, Window, WindowAction
from sensorwatch.common.registry.learned_history import Learned
from sensorwatch.common.scoring.patterns import Pattern
from sensorwatch.common.verdicts.verdict import Verdict

EXTRA_ROWS = 2
"""An similar excursion may have this number of rows more than the tolerance allows, so that short
excursions have a tolerance, too."""
FIRST_PATTERNS = (Pattern.SPIKE, Pattern.UNUSUAL)
"""The patterns that an episode of any kind may have in its first rows."""
NEVER_ASSUMED = (Pattern.NONE, Pattern.STUCK)
"""The patterns that are never assumed for rows without an event."""


@dataclass(frozen=True, slots=True)
class LearningRule:
    """How a suppression is made from an episode."""

    covers_group: bool
    """Whether the suppression covers the group of the sensor; without a group, only the sensor."""
    tolerance: float
    """Share by which an similar excursion may be smaller, larger or longer."""
    expires: int
    """Event time at which the suppression ends, microseconds UTC."""


def learn(
    episode: EpisodeState,
    verdict: Verdict,
    rule: LearningRule,
    window: tuple[int, int] | None = None,
) -> Learned:
    """Return what the policy learns from a verdict.

    `window`: begin and end of a planned window, microseconds UTC; it replaces the suppression.
    """
    if window is not None:
        planned = Window(
            learned_name(episode.id),
            escaped_glob(episode.sensor_id),
            WindowAction.SUPPRESS,
            (window,),
        )
        return Learned(episode.id, window=planned)
    if verdict not in (Verdict.FALSE, Verdict.EXPECTED):
        return Learned(episode.id)
    return Learned(episode.id, learned_suppression(episode, verdict, rule))


def learned_suppression(
    episode: EpisodeState, verdict: Verdict, rule: LearningRule
) -> LearnedSuppression | None:
    """Return the suppression of excursions alike to that of the episode.

    Returns None if the episode has no excursion: a silent sensor, or an episode whose events with
    signals are no longer in the topic.
    """
    leading = episode.excursion.leading
    if leading is None or episode.pattern == SILENT_PATTERN:
        return None
    others = [
        signal
        for signal in episode.excursion.signals
        if signal.directions and signal.name != leading.name
    ]
    covers_group = rule.covers_group and bool(episode.group)
    max_rows = ceil(episode.rows * (1.0 + rule.tolerance)) + EXTRA_ROWS
    return LearnedSuppression(
        episode.id,
        verdict.value,
        "" if covers_group else episode.sensor_id,
        episode.group if covers_group else "",
        tuple(_learned_signal(signal, rule.tolerance) for signal in (leading, *others)),
        _patterns(episode),
        None if episode.is_open else max_rows,
        rule.expires,
    )


def escaped_glob(sensor_id: str) -> str:
    """Return the shell pattern that matches only this sensor id."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in sensor_id)


def _patterns(episode: EpisodeState) -> tuple[str, ...]:
    """Return the patterns of alike episodes.

    The patterns of later rows of an open episode, and of rows without an event (with `emit =
    "episodes"`), are not known. Then every pattern of a signal that moves is allowed.
    """
    patterns: list[str] = [*episode.excursion.patterns, *FIRST_PATTERNS]
    if episode.is_open or episode.excursion.rows < episode.rows:
        patterns += [pattern for pattern in Pattern if pattern not in NEVER_ASSUMED]
    return tuple(dict.fromkeys(str(pattern) for pattern in patterns))


def _learned_signal(signal: ExcursionSignal, tolerance: float) -> LearnedSignal:
    direction = Direction(signal.directions[0]) if len(signal.directions) == 1 else Direction.BOTH
    start = signal.start * SIGNS[direction] if direction in SIGNS else abs(signal.start)
    return LearnedSignal(
        signal.name,
        direction,
        min_start=max(0.0, start) * (1.0 - tolerance),
        max_deviation=signal.peak * (1.0 + tolerance),
    )
