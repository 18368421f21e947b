"""Fit and score streams with the functions of the backtest."""

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
from sensorwatch.trainer.backtest import score_records
from sensorwatch.trainer.unregistered_model import fit_on_first_records

MAX_ROWS = 10_000
"""Maximum number of rows per call of the scorer; the scores do not depend on this number."""

Record = Fields | Fault


@dataclass(frozen=True, slots=True)
class RecordStream:
    """Records in order: the first `train_rows` are for training, the later records are judged."""

    name: str
    schema: Schema
    records: Sequence[Record]
    train_rows: int
    sensors: int = 1
    """Number of sensors. At each step, the rows of all sensors follow in a fixed order."""

    @property
    def judged_rows(self) -> int:
        """Number of rows after the training rows."""
        return len(self.records) - self.train_rows


@dataclass(frozen=True, slots=True)
class JudgedRows:
    """Results for the m rows after the training rows; every array has shape (m,)."""

    anomaly_score: NDArray[np.float64]
    """Score of each row; 0 for a rejected row."""
    is_anomaly: NDArray[np.bool_]
    is_episode_start: NDArray[np.bool_]
    """True at rows that begin an episode."""
    fit_seconds: float = 0.0
    score_seconds: float = 0.0


def backtest(
    stream: RecordStream, trainer_settings: TrainerSettings, *, refit_every: int | None = None
) -> JudgedRows:
    """Fit on a stream's training rows and score the later rows causally, in order.

    `refit_every`: number of scored rows after which the detector is fitted again on all rows so
    far.
    """
    first, end = stream.train_rows, len(stream.records)
    fit_rows = [first, *range(first + refit_every, end, refit_every)] if refit_every else [first]
    judged_parts = [
        _fit_and_score(stream, trainer_settings, *rows) for rows in pairwise([*fit_rows, end])
    ]
    return JudgedRows(
        np.concatenate([judged_part.anomaly_score for judged_part in judged_parts]),
        np.concatenate([judged_part.is_anomaly for judged_part in judged_parts]),
        np.concatenate([judged_part.is_episode_start for judged_part in judged_parts]),
        sum(judged_part.fit_seconds for judged_part in judged_parts),
        sum(judged_part.score_seconds for judged_part in judged_parts),
    )


def _fit_and_score(
    stream: RecordStream, trainer_settings: TrainerSettings, first: int, end: int
) -> JudgedRows:
    """Fit on all rows before row `first`; score the rows from `first` to `end` (exclusive)."""
    start_time = perf_counter()
    records = stream.records
    detector, memory, _ = fit_on_first_records(
        iter(records), stream.schema, trainer_settings, rows=first, uri=stream.name
    )
    fit_end_time = perf_counter()
    outcomes = list(
        score_records(records[first:end], detector, memory, first_row=first, max_rows=MAX_ROWS)
    )
    score_end_time = perf_counter()
    return collect_judged(
        outcomes, first, end - first, (fit_end_time - start_time, score_end_time - fit_end_time)
    )


def collect_judged(
    outcomes: Iterable[Outcome], first: int, rows: int, seconds: tuple[float, float] = (0.0, 0.0)
) -> JudgedRows:
    """Collect the results of `rows` rows, starting at row `first`, in arrays."""
    score = np.zeros(rows)
    is_anomaly = np.zeros(rows, dtype=np.bool_)
    is_episode_start = np.zeros(rows, dtype=np.bool_)
    for outcome in outcomes:
        row_positions, row_detections = outcome.readings.index - first, outcome.detections
        score[row_positions] = row_detections.anomaly_score
        is_anomaly[row_positions] = row_detections.is_anomaly
        is_episode_start[row_positions] = row_detections.episode_rows == 1
    return JudgedRows(score, is_anomaly, is_episode_start, *seconds)
