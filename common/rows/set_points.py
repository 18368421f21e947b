"""Find signals that look like set-points or commands: they move in steps, and others follow."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema

MIN_STEPS = 8
"""Minimum number of steps. With fewer steps, another signal may seem to follow by chance."""
MAX_STEPS = 2_000
"""At most this number of steps is examined."""
MAX_STEP_SHARE = 0.1
"""A set-point changes at most in this share of the rows."""
FEW_LEVELS = 4
MIN_JUMP_SHARE = 0.2
"""If a set-point has more than FEW_LEVELS values, at least this share of its steps skips a value.

In contrast, a measurement with a coarse resolution steps to the next value."""
MIN_MOVING_SHARE = 0.5
"""A signal that follows changes in at least this share of the rows."""
MIN_MOVING_VALUES = 20
WINDOW = 10
"""Number of rows before and after a step that are compared. They contain no other step."""
MIN_CORRELATION = 0.7
MIN_STANDARD_ERRORS = 5.0
"""Minimum of the correlation after Fisher's transformation, in standard errors (Fisher 1921)."""
MAX_EARLY_SHARE = 0.15
"""A signal does not follow a step if more than this share of its movement is before the step.

For a signal that rises or falls steadily, half of the movement is before the step."""
MAX_NAMED = 4

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SetPoint:
    """A signal that looks like a set-point or a command."""

    signal: int
    """Position of the signal."""
    steps: int
    followers: tuple[int, ...]
    """Positions of the signals that follow it."""


def set_point_texts(readings: Readings, schema: Schema) -> Iterator[tuple[str, str]]:
    """Yield the name of each signal that looks like a set-point, and a sentence about it."""
    names = schema.signal_names
    for set_point in find_set_points(readings):
        followers = [repr(names[signal]) for signal in set_point.followers]
        more = len(followers) - MAX_NAMED
        follower_names = ", ".join(followers[:MAX_NAMED]) + (
            f" and {more} more" if more > 0 else ""
        )
        verb = "follows" if len(followers) == 1 else "follow"
        name = names[set_point.signal]
        steps_text = f"{set_point.steps} in {len(readings)} rows"
        yield name, f"{name!r} moves in steps ({steps_text}), and {follower_names} {verb} it"


def find_set_points(readings: Readings) -> list[SetPoint]:
    """Return the signals that move in steps, if other signals move after these steps.

    The rows may be in any order. A missing value of a stepping signal counts as its last value.
    """
    order = np.lexsort((readings.event_time, readings.sensor))
    sensor, values = readings.sensor[order], readings.values[order]
    is_same_sensor = np.diff(sensor) == 0
    moving = [
        signal for signal in range(values.shape[1]) if _moves(values[:, signal], is_same_sensor)
    ]
    result = []
    for signal in range(values.shape[1]) if moving else ():
        stepping = _filled(values[:, signal], is_same_sensor)
        steps = _steps(stepping, is_same_sensor)
        if steps is None:
            continue
        rows = steps[_has_room(steps, sensor)][:MAX_STEPS]
        sizes = stepping[rows] - stepping[rows - 1]
        followers = tuple(
            follower
            for follower in moving
            if follower != signal and _follows(values[:, follower], rows, sizes)
        )
        if followers:
            result.append(SetPoint(signal, len(steps), followers))
    return result


def _moves(values: Values, is_same_sensor: NDArray[np.bool_]) -> bool:
    """Return whether a signal (n,) has many values, and changes in most rows."""
    differences = np.diff(values)[is_same_sensor]
    differences = differences[np.isfinite(differences)]
    if len(differences) < MIN_STEPS or (differences != 0).mean() < MIN_MOVING_SHARE:
        return False
    return len(np.unique(values[np.isfinite(values)])) >= MIN_MOVING_VALUES


def _filled(values: Values, is_same_sensor: NDArray[np.bool_]) -> Values:
    """Return the values (n,), with each missing one replaced by the sensor's last value."""
    position = np.arange(len(values))
    starts = np.maximum.accumulate(np.where(np.append(True, ~is_same_sensor), position, 0))
    known = np.maximum.accumulate(np.where(np.isfinite(values), position, 0))
    return np.where(known >= starts, values[known], np.nan)


def _steps(values: Values, is_same_sensor: NDArray[np.bool_]) -> NDArray[np.int64] | None:
    """Return the first row of each new value, or None if the signal is not a set-point."""
    differences = np.where(is_same_sensor, np.diff(values), 0.0)
    is_step = np.isfinite(differences) & (differences != 0)
    count = int(is_step.sum())
    if not MIN_STEPS <= count <= MAX_STEP_SHARE * len(values):
        return None
    sizes = differences[is_step]
    if (sizes > 0).all() or (sizes < 0).all():
        return None
    levels, rank = np.unique(values[np.isfinite(values)], return_inverse=True)
    if len(levels) > FEW_LEVELS:
        rank_of_row = np.zeros(len(values), dtype=np.int64)
        rank_of_row[np.isfinite(values)] = rank
        jumps = np.abs(np.diff(rank_of_row)[is_step]) > 1
        if jumps.mean() < MIN_JUMP_SHARE:
            return None
    return np.flatnonzero(is_step) + 1


def _has_room(steps: NDArray[np.int64], sensor: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return which steps have WINDOW rows of the sensor, and no other step, on both sides."""
    edges = np.concatenate([[0], steps, [len(sensor)]])
    has_room = (np.diff(edges)[:-1] >= WINDOW) & (np.diff(edges)[1:] >= WINDOW)
    first, last = np.maximum(steps - WINDOW, 0), np.minimum(steps + WINDOW, len(sensor)) - 1
    return np.asarray(has_room & (sensor[first] == sensor[steps]) & (sensor[last] == sensor[steps]))


def _follows(values: Values, steps: NDArray[np.int64], sizes: Values) -> bool:
    """Return whether a signal (n,) moves with the sizes of the steps, and only after them."""
    windows = values[steps[:, np.newaxis] + np.arange(-WINDOW, WINDOW)]
    is_known = np.isfinite(windows).all(axis=1)
    windows, sizes = windows[is_known], sizes[is_known]
    if len(sizes) < MIN_STEPS:
        return False
    half = WINDOW // 2
    earlier, before = windows[:, :half].mean(axis=1), windows[:, half:WINDOW].mean(axis=1)
    response = windows[:, WINDOW + half :].mean(axis=1) - before
    centred = sizes - sizes.mean()
    covariance = float((centred * response).sum())
    norm = float(np.sqrt((centred**2).sum() * ((response - response.mean()) ** 2).sum()))
    correlation = abs(covariance) / norm if norm > 0 else 0.0
    errors = np.arctanh(min(correlation, 1.0 - 1e-12)) * np.sqrt(len(sizes) - 3)
    if correlation < MIN_CORRELATION or errors < MIN_STANDARD_ERRORS:
        return False
    early = float((centred * (before - earlier)).sum())
    return abs(early) <= MAX_EARLY_SHARE * abs(covariance)
