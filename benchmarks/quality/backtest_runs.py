"""Streams scored through the public backtest path: the only file that knows how it is called."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.trainer.backtest import score_on
from sensorwatch.trainer.unregistered_model import fit_on_first_records

MAX_ROWS = 10_000
"""How many rows are scored at once; the scores do not depend on it."""

Record = Fields | Fault


@dataclass(frozen=True, slots=True)
class RecordStream:
    """Records in order: the first `train_rows` are to be fitted on, the rest to be judged."""

    name: str
    schema: Schema
    records: Sequence[Record]
    train_rows: int
    sensors: int = 1
    """How many take turns, always in the same order."""

    @property
    def judged_rows(self) -> int:
        """How many rows come after those for training."""
        return len(self.records) - self.train_rows


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """What was found in the m rows after those for training, each an array (m,)."""

    anomaly_score: NDArray[np.float64]
    """0 where the row was rejected."""
    is_anomaly: NDArray[np.bool_]
    starts: NDArray[np.bool_]
    """Rows that begin an episode: what an engineer would be woken by."""
    fit_seconds: float = 0.0
    score_seconds: float = 0.0


def backtest(
    stream: RecordStream, trainer_settings: TrainerSettings, *, refit_every: int | None = None
) -> JudgedRows:
    """Fit on a stream's first rows and score the others causally, in order.

    `refit_every`: after this many rows, fit again on all rows so far, as a scheduled trainer does.
    """
    first, end = stream.train_rows, len(stream.records)
    cuts = [first, *range(first + refit_every, end, refit_every)] if refit_every else [first]
    judged_parts = [
        _fit_and_score(stream, trainer_settings, *rows) for rows in pairwise([*cuts, end])
    ]
    return JudgedRows(
        np.concatenate([judged_part.anomaly_score for judged_part in judged_parts]),
        np.concatenate([judged_part.is_anomaly for judged_part in judged_parts]),
        np.concatenate([judged_part.starts for judged_part in judged_parts]),
        sum(judged_part.fit_seconds for judged_part in judged_parts),
        sum(judged_part.score_seconds for judged_part in judged_parts),
    )


def _fit_and_score(
    stream: RecordStream, trainer_settings: TrainerSettings, first: int, end: int
) -> JudgedRows:
    """Fit on all rows before `first`, score those from there to `end`."""
    start_time = perf_counter()
    records = stream.records
    detector, memory, _ = fit_on_first_records(
        iter(records), stream.schema, trainer_settings, rows=first, uri=stream.name
    )
    fitted = perf_counter()
    outcomes = list(
        score_on(records[first:end], detector, memory, first_row=first, max_rows=MAX_ROWS)
    )
    scored = perf_counter()
    return collect_judged(outcomes, first, end - first, (fitted - start_time, scored - fitted))


def collect_judged(
    outcomes: Iterable[Outcome], first: int, rows: int, seconds: tuple[float, float] = (0.0, 0.0)
) -> JudgedRows:
    """Collect the outcomes of `rows` rows, starting at row `first`, in arrays."""
    score = np.zeros(rows)
    is_anomaly = np.zeros(rows, dtype=np.bool_)
    starts = np.zeros(rows, dtype=np.bool_)
    for outcome in outcomes:
        row_positions, row_detections = outcome.readings.index - first, outcome.detections
        score[row_positions] = row_detections.anomaly_score
        is_anomaly[row_positions] = row_detections.is_anomaly
        starts[row_positions] = row_detections.episode_rows == 1
    return JudgedRows(score, is_anomaly, starts, *seconds)
