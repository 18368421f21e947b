"""A model that nobody keeps, with the memory of the rows that it was fitted on."""

from common.detection.detector import Detector
from common.detection.memory import Memory
from common.rows.readings import Readings
from common.rows.schema import Schema
from common.runtime.keys import TrainerSettings
from trainer.training import refitted


def warmed(readings: Readings, schema: Schema, how: TrainerSettings) -> tuple[Detector, Memory]:
    """Fit on readings, and return the detector with a memory that goes on after them.

    The readings' own numbers are their positions. Raises DataError where there are too few.
    """
    detector = refitted(readings, schema, how)
    memory = detector.cold()
    detector.detect(readings, memory, positions=readings.index)
    # As in service, where a new champion takes over: lags stay, what scores have taught begins anew
    # (those of rows that were fitted on teach the wrong thing).
    memory.adopt(detector)
    return detector, memory
