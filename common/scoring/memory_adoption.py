"""What of a memory stays when another model takes over."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.scoring.memory_layout import (
    LONG_QUIET,
    OWN_START,
    USUAL,
    Layout,
    Real,
    Whole,
)

_OF_THE_STREAM = [
    Whole.TIME,
    Whole.TOUCHED,
    Whole.EPISODE,
    Whole.EPISODE_TIME,
    Whole.EPISODE_LAST,
    Whole.EPISODE_ROWS,
]
"""Whole numbers that mean the same for every model."""

Tables = tuple[NDArray[np.float64], NDArray[np.int64]]


def adopted(
    names: list[str], before: Layout, tables: Tables, layout: Layout, levels: Levels
) -> Tables:
    """Return the tables (reals, wholes) of these sensors as the new model goes on with them.

    Newest times and open episodes carry over; lags and repeats do where the columns are the same,
    and with them the level, learned or half learned, of a sensor that the new model does not know.
    Smoothed scores, alarms and each sensor's own tail begin anew; a refractory time goes on, but
    does not end an open episode. Where the columns are others, the new model's locations stand in
    for what is missing.
    """
    old_reals, old_wholes = tables
    lines = max(len(old_reals), 1)
    reals = np.zeros((lines, layout.reals))
    wholes = np.zeros((lines, layout.wholes), dtype=np.int64)
    wholes[:, _OF_THE_STREAM] = old_wholes[:, _OF_THE_STREAM]
    reals[:, Real.PEAK] = old_reals[:, Real.PEAK]
    reals[:, [Real.SMOOTHED, Real.TAIL_START, Real.TAIL_SCALE]] = (USUAL, OWN_START, 1.0)
    same = (before.signals, before.contexts) == (layout.signals, layout.contexts)
    if same:
        reals[:, layout.lags : layout.drift] = old_reals[:, before.lags : before.drift]
        wholes[:, Whole.HELD] = old_wholes[:, Whole.HELD]
        wholes[:, Whole.RUNS :] = old_wholes[:, Whole.RUNS :]
    if same and before.min_rows and layout.min_rows:
        seen = old_wholes[:, Whole.SEEN]
        # What is half learned for another number of rows is no use: it is learned anew.
        kept = (seen >= before.min_rows) | (before.min_rows == layout.min_rows)
        levelled = slice(Real.LEVELS, layout.lags)
        reals[kept, levelled] = old_reals[kept, levelled]
        learned = seen[kept] >= before.min_rows
        wholes[kept, Whole.SEEN] = np.where(learned, layout.min_rows, seen[kept])
    # The plain plan has no refractory time, and counts no quiet rows.
    heard = (old_wholes[:, Whole.EPISODE_ROWS] > 0) | (before.min_rows == 0)
    wholes[:, Whole.QUIET] = np.where(heard, LONG_QUIET, old_wholes[:, Whole.QUIET])
    known = levels.known
    for line, name in enumerate(names):
        level = known.get(name, 0)
        if level or not layout.min_rows:
            reals[line, Real.LEVELS : layout.scale] = levels.location[level]
            reals[line, layout.scale : layout.lags] = levels.scale[level]
            wholes[line, Whole.SEEN] = layout.min_rows
        if not same:
            reals[line, layout.lags : layout.lags + layout.columns] = levels.location[level]
    return reals, wholes
