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
from sensorwatch.trainer.training import refitted


def warm_up(
    records: Iterator[Fields | Fault],
    schema: Schema,
    how: TrainerSettings,
    *,
    rows: int,
    uri: str,
) -> tuple[Detector, Memory, list[Rejection]]:
    """Take the first `rows` records, valid or not: fit on them, and warm the memory with them.

    Raises DataError where too few of them are valid.
    """
    return warm_up_on([collect_rows(islice(records, rows), schema)], schema, how, uri=uri)


def warm_up_on(
    batches: Sequence[Batch], schema: Schema, how: TrainerSettings, *, uri: str
) -> tuple[Detector, Memory, list[Rejection]]:
    """Fit on the first batches of a source; see `warm_up`."""
    readings, rejections = join_batches(batches, schema)
    if len(readings) == 0:
        rows = len(rejections)
        raise DataError(f"none of the first {rows} rows of {uri} is valid: nothing to train on")
    return *warmed(readings, schema, how), rejections


def warmed(readings: Readings, schema: Schema, how: TrainerSettings) -> tuple[Detector, Memory]:
    """Fit on readings, and return the detector with a memory that goes on after them.

    The readings' own numbers are their positions. Raises DataError where there are too few.
    """
    detector = refitted(readings, schema, how)
    memory = detector.empty_memory()
    detector.detect(readings, memory, positions=readings.index)
    # As in service, where a new champion takes over: lags stay, what scores have taught begins anew
    # (those of rows that were fitted on teach the wrong thing).
    memory.adopt(detector)
    return detector, memory
