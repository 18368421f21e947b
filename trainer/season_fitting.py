"""The season of what the lags leave: taken where whole cycles show one, and it foretells others."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import LAGS
from sensorwatch.common.model.season import DAY, WEEK, Season, bins_at, no_season

LEAST_CYCLES = 3
"""Whole ones: from fewer nobody can tell a season from chance."""
DAILY_BINS = (24, 48, 96)
LEAST_GAIN = 0.05
"""Of the squared error in cycles that a profile was not made of, which a signal's season takes
away at the least ..."""
CERTAINTY = 2.0
"""... and so many standard errors of its mean over the cycles above nothing."""
MOST_GROUPS = 10
"""The cycles are left out in so many groups at the most."""
CLIP = 4.0
"""A residual's error counts as if it were at most so many spreads."""
MEDIAN_VARIANCE = np.pi / 2
"""Of a median of normal values, in that of their mean."""
MAD = 1.4826


@dataclass(frozen=True, slots=True)
class _Cut:
    """Times cut into cycles, and these into bins."""

    period: int
    bins: int
    cycle: NDArray[np.int64]
    """(n,) from 0, without holes."""
    cycles: int
    bin: NDArray[np.int64]
    """(n,)"""


def fit_season(left: NDArray[np.float64], event_time: NDArray[np.int64], step: float) -> Season:
    """Learn the season of residuals (n, signals) in scales, at times (n,) in microseconds UTC.

    `step`: the usual one between two rows of a sensor, microseconds: no bin is shorter. Of each
    cycle the error is measured by a profile of others (cross-validation); a signal whose error that
    does not clearly lower has none.
    """
    signals = left.shape[1]
    best, least = no_season(signals), np.inf
    for cut in _cuts(event_time, step):
        means = _means(left, cut)
        before, after = _errors(left, means, cut)
        gains = before - after
        mean = gains.mean(axis=0)
        sure = mean > CERTAINTY * gains.std(axis=0, ddof=1) / np.sqrt(len(gains))
        taken = sure & (mean > LEAST_GAIN * before.mean(axis=0))
        error = float(np.where(taken, after, before).mean(axis=0).sum())
        if taken.any() and error < least:
            profile = np.where(taken[:, np.newaxis], _profile(means), 0.0)
            best, least = Season(np.ascontiguousarray(profile), cut.period), error
    return best


def within(
    columns: NDArray[np.float64], event_time: NDArray[np.int64], season: Season
) -> NDArray[np.float64]:
    """Return how columns (n, k) differ from the mean of their bin of the season."""
    bins = season.profile.shape[1]
    place = bins_at(event_time, season.period, bins)
    counts = np.maximum(np.bincount(place, minlength=bins), 1)
    means = [np.bincount(place, column, minlength=bins) / counts for column in columns.T]
    found: NDArray[np.float64] = columns - np.stack(means, axis=1)[place]
    return found


def _cuts(event_time: NDArray[np.int64], step: float) -> Iterator[_Cut]:
    """Yield the ways to cut the times that leave enough whole cycles."""
    # The first rows of a sensor are not among them: they only warm its memory.
    span = int(event_time.max()) - int(event_time.min()) + (1 + LAGS) * step
    for period, bins in [(DAY, n) for n in DAILY_BINS] + [(WEEK, 7 * DAILY_BINS[0])]:
        if step <= 0 or span < LEAST_CYCLES * period or period / bins < step:
            continue
        numbers, cycle = np.unique(event_time // period, return_inverse=True)
        if len(numbers) >= LEAST_CYCLES:
            yield _Cut(period, bins, cycle, len(numbers), bins_at(event_time, period, bins))


def _means(left: NDArray[np.float64], cut: _Cut) -> NDArray[np.float64]:
    """Return the mean residual (signals, cycles, bins) of each cell; NaN where there is no row."""
    cell = cut.cycle * cut.bins + cut.bin
    size = cut.cycles * cut.bins
    counts = np.bincount(cell, minlength=size)
    sums = np.stack([np.bincount(cell, column, minlength=size) for column in left.T])
    means = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means.reshape(-1, cut.cycles, cut.bins)


def _profile(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (signals, bins): the medians over the cycles, shrunk by what chance would give.

    One bad cycle does not move a median; a bin that two cycles do not have is nothing.
    """
    there = np.isfinite(means)
    counts = there.sum(axis=1)
    middle = _median(means)
    off = np.abs(means - middle[:, np.newaxis, :])
    spread = np.stack([MAD * np.median(one[seen]) for one, seen in zip(off, there, strict=True)])
    variance = MEDIAN_VARIANCE * spread[:, np.newaxis] ** 2 / np.maximum(counts - 1, 1)
    kept = np.maximum(1.0 - variance / np.maximum(middle**2, 1e-12), 0.0)
    profile: NDArray[np.float64] = np.where(counts >= 2, kept * middle, 0.0)
    return profile


def _median(means: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median over the cycles, those without rows left out; 0 where none has any."""
    ordered = np.sort(means, axis=1)  # NaN comes last
    counts = np.isfinite(means).sum(axis=1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum(counts - 1, 0) // 2, axis=1)
    high = np.take_along_axis(ordered, np.minimum(counts // 2, means.shape[1] - 1), axis=1)
    middle: NDArray[np.float64] = np.where(counts > 0, (low + high) / 2, 0.0)[:, 0]
    return middle


def _errors(
    left: NDArray[np.float64], means: NDArray[np.float64], cut: _Cut
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the mean squared error of each group of cycles (groups, signals), clipped.

    Without a season, and with the profile of the other groups.
    """
    most = CLIP * _spreads(left)
    groups = min(cut.cycles, MOST_GROUPS)
    group = np.arange(cut.cycles) % groups
    before, after = np.empty((groups, left.shape[1])), np.empty((groups, left.shape[1]))
    for number in range(groups):
        rows = group[cut.cycle] == number
        foretold = _profile(means[:, group != number])[:, cut.bin[rows]].T
        before[number] = _squared(left[rows], most)
        after[number] = _squared(left[rows] - foretold, most)
    return before, after


def _squared(errors: NDArray[np.float64], most: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray((np.minimum(np.abs(errors), most) ** 2).mean(axis=0))


def _spreads(left: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the spread (signals,) of residuals that a few large ones do not widen."""
    robust = MAD * np.median(np.abs(left - np.median(left, axis=0)), axis=0)
    return np.where(robust > 0, robust, left.std(axis=0))
