"""A micro-batch, a detector and a memory in; one outcome per record and the memory out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from common.detection.calibration import Detections
from common.detection.detector import Detector
from common.detection.memory import Memory
from common.rows.parsing import parse
from common.rows.readings import Readings
from common.rows.rejection import Reason, Rejection, fault

REASONS = tuple(Reason)


class OutcomeKind(IntEnum):
    """How a record ended; the numbers are part of the ledger's digest."""

    NORMAL = 1
    ANOMALY = 2
    DEAD_LETTER = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the n records of a micro-batch: each is a reading or a rejection."""

    readings: Readings
    detections: Detections
    """One per reading, in the same order."""
    rejections: list[Rejection]
    """Rising by index."""

    @property
    def records(self) -> int:
        """How many records there were."""
        return len(self.readings) + len(self.rejections)

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """(n,) each record's OutcomeKind."""
        kinds = np.full(self.records, OutcomeKind.DEAD_LETTER, dtype=np.uint8)
        kinds[self.readings.index] = np.where(
            self.detections.is_anomaly, OutcomeKind.ANOMALY, OutcomeKind.NORMAL
        )
        return kinds

    @property
    def reasons(self) -> NDArray[np.uint8]:
        """(n,) position in REASONS plus one for a rejected record, 0 for a scored one."""
        reasons = np.zeros(self.records, dtype=np.uint8)
        for rejection in self.rejections:
            reasons[rejection.index] = REASONS.index(rejection.reason) + 1
        return reasons

    @property
    def score_bits(self) -> NDArray[np.uint64]:
        """(n,) the bits of each record's raw score, 0 for a rejected one."""
        bits = np.zeros(self.records, dtype=np.uint64)
        bits[self.readings.index] = self.detections.raw_score.view(np.uint64)
        return bits


def process(
    payloads: Sequence[bytes | None],
    detector: Detector,
    memory: Memory,
    *,
    received: Sequence[int | None] | None = None,
) -> tuple[Outcome, Memory]:
    """Give each payload exactly one outcome: consumer, API and `ledger verify` all call this.

    `received`: see `common.rows.parsing.parse`.
    """
    readings, rejections = parse(payloads, detector.schema, received=received)
    return score_readings(readings, rejections, detector, memory)


def score_readings(
    readings: Readings, rejections: list[Rejection], detector: Detector, memory: Memory
) -> tuple[Outcome, Memory]:
    """Score rows that are already readings (a table's); see `process`."""
    detections, memory = detector.detect(readings, memory)
    finite = np.isfinite(detections.raw_score)
    if not finite.all():
        failed = [_failed(int(index)) for index in readings.index[~finite]]
        rejections = sorted([*rejections, *failed], key=lambda rejection: rejection.index)
        readings, detections = readings.take(finite), detections.take(finite)
    return Outcome(readings, detections, rejections), memory


def _failed(index: int) -> Rejection:
    detail = "the model gave no finite score for this row"
    return Rejection(index, (fault(Reason.SCORING_FAILED, "", detail),))
