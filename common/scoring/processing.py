"""A micro-batch, a detector and a memory in; one outcome per record and the memory out."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import Crew, alone
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection, fault
from sensorwatch.common.rows.schema import Order, OutOfOrder
from sensorwatch.common.rows.strict_parsing import Times
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.status import STATUSES, Status

REASONS = tuple(Reason)
_NUMBERS = {reason: number for number, reason in enumerate(REASONS, start=1)}


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
    closed: list[ClosedEpisode]
    """The episodes that ended with one of the records, rising by index."""
    positions: NDArray[np.int64]
    """(n,) strictly rising numbers of the records in their stream."""

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
            reasons[rejection.index] = _NUMBERS[rejection.reason]
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
    positions: NDArray[np.int64] | None = None,
    received: Times | None = None,
    crew: Crew = alone,
) -> Outcome:
    """Give each payload of one stream exactly one outcome, writing the rows into `memory`.

    Consumer, API and `ledger verify` all call this. `positions` (records,): strictly rising numbers
    of the records in their stream (Kafka's offsets); default: counted on from the memory's.
    `received`: see `sensorwatch.common.rows.parsing.parse`. `crew`: who does what needs no order.
    """
    readings, rejections = parse(payloads, detector.schema, received=received, crew=crew)
    return score_readings(readings, rejections, detector, memory, positions=positions, crew=crew)


def score_readings(
    readings: Readings,
    rejections: list[Rejection],
    detector: Detector,
    memory: Memory,
    *,
    positions: NDArray[np.int64] | None = None,
    crew: Crew = alone,
) -> Outcome:
    """Score rows that are already readings (a table's); see `process`."""
    records = len(readings) + len(rejections)
    if positions is None:
        positions = memory.position + np.arange(records, dtype=np.int64)
    found = detector.detect(readings, memory, positions=positions[readings.index], crew=crew)
    if records:
        memory.position = int(positions[-1]) + 1
    readings, detections = found.readings, found.detections
    wrong = _wrong(detections, detector.schema.order)
    if wrong:
        more = [Rejection(int(readings.index[row]), (why,)) for row, why in wrong.items()]
        rejections = sorted([*rejections, *more], key=lambda rejection: rejection.index)
        kept = np.ones(len(readings), dtype=np.bool_)
        kept[list(wrong)] = False
        readings, detections = readings.take(kept), detections.take(kept)
    return Outcome(readings, detections, rejections, found.closed, positions)


def _wrong(detections: Detections, order: Order) -> dict[int, Fault]:
    """Return why readings are not to be scored after all, by row."""
    found: dict[int, Fault] = {}
    for status, rule in ((Status.LATE, order.late), (Status.DUPLICATE, order.duplicate)):
        if rule is OutOfOrder.REJECT:
            rows = np.flatnonzero(detections.status == STATUSES.index(status))
            found.update(dict.fromkeys(rows.tolist(), _OUT_OF_ORDER[status]))
    failed = np.flatnonzero(~np.isfinite(detections.raw_score))
    found.update(dict.fromkeys(failed.tolist(), _FAILED))
    return found


_OUT_OF_ORDER = {
    Status.LATE: fault(
        Reason.LATE, "", "older than the newest row of its sensor, wanted a newer one"
    ),
    Status.DUPLICATE: fault(
        Reason.DUPLICATE, "", "as old as the newest row of its sensor, wanted a newer one"
    ),
}
_FAILED = fault(Reason.SCORING_FAILED, "", "the model gave no finite score for this row")
