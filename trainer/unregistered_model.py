"""A model that nobody keeps, with the memory of the rows that it was fitted on."""

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
    """Take the first `rows` records, valid or not: fit on them, and warm the memory with them.

    Raises DataError where too few of them are valid.
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
        raise DataError(f"none of the first {rows} rows of {uri} is valid: nothing to train on")
    return *fit_with_memory(readings, schema, trainer_settings), rejections


def fit_with_memory(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings
) -> tuple[Detector, Memory]:
    """Fit on readings, and return the detector with a memory that goes on after them.

    The readings' own numbers are their positions. Raises DataError where there are too few.
    """
    detector = fit_unregistered(readings, schema, trainer_settings)
    memory = detector.empty_memory()
    detector.detect(readings, memory, positions=readings.index)
    # As in service, where a new champion takes over: lags stay, what scores have taught begins anew
    # (those of rows that were fitted on teach the wrong thing).
    memory.adopt(detector)
    return detector, memory
