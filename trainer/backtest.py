"""The backtest: score the rows of a file in order, with the same results as the consumer."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np

from sensorwatch.common.rows.batches import Batch, collect_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, score_readings


def score_records(
    records: Iterable[Fields | Fault],
    detector: Detector,
    memory: Memory,
    *,
    first_row: int,
    max_rows: int,
) -> Iterator[Outcome]:
    """Score records in order, in batches of `max_rows` rows; see `score_batches`."""
    batches = collect_batches(records, detector.schema, batch_rows=max_rows)
    return score_batches(batches, detector, memory, first_row=first_row)


def score_batches(
    batches: Iterable[Batch], detector: Detector, memory: Memory, *, first_row: int
) -> Iterator[Outcome]:
    """Score batches in order, and yield the outcome of each batch.

    Each batch updates `memory`. The first row of the first batch gets the number `first_row`. The
    scores do not depend on batch boundaries.
    """
    for batch in batches:
        readings, rejections = batch
        positions = np.arange(first_row, first_row + len(readings) + len(rejections))
        outcome = score_readings(readings, rejections, detector, memory, positions=positions)
        yield _with_row_numbers(outcome, first_row)
        first_row += len(positions)


def _with_row_numbers(outcome: Outcome, first_row: int) -> Outcome:
    rejections = [
        replace(rejection, index=first_row + rejection.index) for rejection in outcome.rejections
    ]
    return replace(
        outcome, readings=_with_shifted_index(outcome.readings, first_row), rejections=rejections
    )


def _with_shifted_index(readings: Readings, first_row: int) -> Readings:
    return replace(readings, index=readings.index + np.int64(first_row))
