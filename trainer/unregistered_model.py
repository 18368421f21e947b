"""Fit a detector without registering it, and fill its memory with the fitted rows."""

from collections.abc import Iterator, Sequence
from itertools import islice

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.batches import Batch, join_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Rejection
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields, collect_rows
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.trainer.training import fit_unregistered


def fit_on_first_records(
    records: Iterator[Fields | Fault],
    schema: Schema,
    trainer_settings: TrainerSettings,
    *,
    rows: int,
    uri: str,
) -> tuple[Detector, Memory, list[Rejection]]:
    """Fit on the first `rows` records; return the detector, its memory and the rejections.

    `rows` includes rejected records. The memory was updated with the valid rows. `uri`: name of the
    source for error messages. Raises DataError if too few of the records are valid.
    """
    return fit_on_first_batches(
        [collect_rows(islice(records, rows), schema)], schema, trainer_settings, uri=uri
    )


def fit_on_first_batches(
    batches: Sequence[Batch], schema: Schema, trainer_settings: TrainerSettings, *, uri: str
) -> tuple[Detector, Memory, list[Rejection]]:
    """Fit on the first batches of a source; see `fit_on_first_records`."""
    readings, rejections = join_batches(batches, schema)
    if len(readings) == 0:
        rows = len(rejections)
        raise DataError(
            f"none of the first {rows} rows of {uri} is valid, so there is no row to train on: "
            "`sensorwatch schema check SCHEMA --data FILE` shows why"
        )
    return *fit_with_memory(readings, schema, trainer_settings), rejections


def fit_with_memory(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings
) -> tuple[Detector, Memory]:
    """Fit on readings; return the detector, and a memory that was updated with the readings.

    The positions that the memory stores come from `readings.index`. Raises DataError if there are
    too few readings.
    """
    detector = fit_unregistered(readings, schema, trainer_settings)
    memory = detector.empty_memory()
    detector.detect(readings, memory, positions=readings.index)
    # The scores of rows on which a model was fitted are too low. `adopt` resets the columns of the
    # memory that depend on scores, and keeps the lagged rows.
    memory.adopt(detector)
    return detector, memory
