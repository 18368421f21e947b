"""The processing of a micro-batch: one outcome for every record."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.rows.absorption import NO_ABSORBED_RECORDS, AbsorbedRecords
from sensorwatch.common.rows.readings import WHOLE_RECORD, Readings
from sensorwatch.common.rows.record_declarations import OutOfOrderPolicy, RowOrder
from sensorwatch.common.rows.records import parse_records
from sensorwatch.common.rows.rejection import (
    Fault,
    Reason,
    Rejection,
    join_rejections,
    make_fault,
    merge_rejections,
)
from sensorwatch.common.rows.strict_parsing import Times
from sensorwatch.common.rows.unpacking import Sources
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.patterns import PATTERNS
from sensorwatch.common.scoring.row_positions import row_positions
from sensorwatch.common.scoring.silence_rule import SensorSilence
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.scoring.suppression import MODEL_SUPPRESSIONS

REASONS = tuple(Reason)
"""The numbers of a dead letter's reason in `Outcome.reasons` are positions in this tuple plus 1."""
_REASON_NUMBERS = {reason: number for number, reason in enumerate(REASONS, start=1)}
_ROW_MULTIPLIER = np.uint64(0xBF58476D1CE4E5B9)
"""The odd constant of `_fold_rows`; the ledger's digest uses the same constant."""
_INCIDENT_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""The odd constant by which the distance from an episode to its incident is multiplied."""
_POLICY_MULTIPLIERS = [np.uint64(pow(int(_ROW_MULTIPLIER), p, 2**64)) for p in (2, 3, 4)]
"""The odd constants of the policy's numbers in a row's word."""


class OutcomeKind(IntEnum):
    """The kind of a record's outcome; the numbers are part of the ledger's digest."""

    NORMAL = 1
    ANOMALY = 2
    DEAD_LETTER = 3
    ABSORBED = 4


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcomes of the n records of a micro-batch.

    A record has one or more readings, has a rejection, or is absorbed. A record has both readings
    and a rejection if only some of its rows are rejected.
    """

    readings: Readings
    """The scored readings, with counters replaced by rates, and missing values imputed."""
    detections: Detections
    """One detection per reading, in the same order."""
    rejections: list[Rejection]
    """The rejections, in ascending order of `Rejection.index`."""
    closed: list[ClosedEpisode]
    """The episodes that the records ended, in ascending order of `ClosedEpisode.index`."""
    positions: NDArray[np.int64]
    """Shape (n,). Strictly rising positions of the records in their stream."""
    absorbed: AbsorbedRecords = NO_ABSORBED_RECORDS
    """The records that are neither readings nor rejections."""
    silences: Sequence[SensorSilence] = ()
    """The silences of sensors that the records revealed or ended, in order."""

    @property
    def records(self) -> int:
        """Number of records."""
        return len(self.positions)

    @property
    def rows(self) -> int:
        """Number of scored rows; a record may contain several rows."""
        return len(self.readings)

    @property
    def kinds(self) -> NDArray[np.uint8]:
        """Shape (n,). OutcomeKind of each record.

        A record with an anomalous row is an anomaly. Any other record with a rejected row is a dead
        letter.
        """
        kinds = np.full(self.records, OutcomeKind.DEAD_LETTER, dtype=np.uint8)
        kinds[self.readings.index] = OutcomeKind.NORMAL
        for rejection in self.rejections:
            kinds[rejection.index] = OutcomeKind.DEAD_LETTER
        kinds[self.readings.index[self.detections.is_anomaly]] = OutcomeKind.ANOMALY
        kinds[self.absorbed.index] = OutcomeKind.ABSORBED
        return kinds

    @property
    def reasons(self) -> NDArray[np.uint8]:
        """Shape (n,). Reason number of each record.

        For a rejected record, the position in REASONS plus 1. For an absorbed record, the position
        in ABSORBED_REASONS plus 1. For any other record 0.
        """
        reasons = np.zeros(self.records, dtype=np.uint8)
        for rejection in self.rejections:
            reasons[rejection.index] = _REASON_NUMBERS[rejection.reason]
        reasons[self.absorbed.index] = self.absorbed.reason
        return reasons

    @property
    def score_bits(self) -> NDArray[np.uint64]:
        """Shape (n,). A 64-bit word per record, from its raw score and alarm; 0 without a row.

        A word depends on all rows of the record: raw score, severity, pattern, suppression, news,
        episode, incident, policy, stale model; and on the silences that the record reveals or ends.
        """
        index, row_bits = self.readings.index, _row_bits(self.detections)
        bits = np.zeros(self.records, np.uint64)
        bits[index] = row_bits
        if self.readings.row_in_record is not None:
            bits = _fold_rows(index, self.readings.row_in_record, row_bits, self.records)
        for silence in self.silences:
            bits[silence.index] ^= np.uint64(silence.word)
        return bits


def process(
    payloads: Sequence[bytes | None],
    detector: Detector,
    memory: Memory,
    *,
    positions: NDArray[np.int64] | None = None,
    received: Times | None = None,
    sources: Sources | None = None,
    row_executor: RowExecutor = run_serially,
) -> Outcome:
    """Return exactly one outcome for each payload of a stream; update `memory` with the rows.

    `positions`: shape (records,), strictly rising positions of the records in their stream (Kafka's
    offsets); default: the memory's next positions. `received`, `sources`: see
    `sensorwatch.common.rows.records.parse_records`. `row_executor`: runs the steps that do not
    depend on the order of the rows.

    >>> from sensorwatch.common.rows.parsing import parse
    >>> from sensorwatch.common.rows.schema import schema_from_plain
    >>> from sensorwatch.common.runtime.setting_keys import TrainerSettings
    >>> from sensorwatch.trainer.training import fit_unregistered
    >>> schema = schema_from_plain(
    ...     {"name": "pump", "time": {"field": "at"}, "key": {"field": "pump"},
    ...      "signals": [{"name": "flow"}]})
    >>> payload = '{{"at": "2026-01-01T00:{:02}:00Z", "pump": "p1", "flow": {}}}'.format
    >>> normal_rows = [payload(minute, minute % 7).encode() for minute in range(50)]
    >>> readings, _ = parse(normal_rows, schema)
    >>> detector = fit_unregistered(readings, schema, TrainerSettings(min_rows=20))
    >>> new_rows = [payload(50, 3).encode(), payload(51, 900).encode(), b"not JSON"]
    >>> outcome = process(new_rows, detector, detector.empty_memory())
    >>> [OutcomeKind(kind).name for kind in outcome.kinds]
    ['NORMAL', 'ANOMALY', 'DEAD_LETTER']
    """
    parsed_records = parse_records(
        payloads,
        detector.schema,
        received=received,
        sources=sources,
        open_rows=memory.open_rows,
        max_open_rows=memory.max_sensors,
        row_executor=row_executor,
    )
    return score_readings(
        parsed_records.readings,
        parsed_records.rejections,
        detector,
        memory,
        absorbed=parsed_records.absorbed,
        positions=memory.next_positions(len(payloads)) if positions is None else positions,
        received=received,
        row_executor=row_executor,
    )


def score_readings(
    readings: Readings,
    rejections: list[Rejection],
    detector: Detector,
    memory: Memory,
    *,
    absorbed: AbsorbedRecords = NO_ABSORBED_RECORDS,
    positions: NDArray[np.int64] | None = None,
    received: Times | None = None,
    row_executor: RowExecutor = run_serially,
) -> Outcome:
    """Return the outcomes of records that are already parsed; see `process`.

    Every record is in `readings`, in `rejections` or in `absorbed`. `positions`: shape (records,);
    by default each reading is a record of its own, and the records have the memory's next
    positions.
    """
    if positions is None:
        positions = memory.next_positions(len(readings) + len(rejections) + len(absorbed))
    result = detector.detect(
        readings,
        memory,
        positions=row_positions(positions, readings),
        next_position=int(positions[-1]) + 1 if len(positions) else None,
        received=received,
        row_executor=row_executor,
    )
    readings, detections = result.readings, result.detections
    faults_by_row = _find_unscored(detections, detector.schema.order)
    if faults_by_row:
        rejections = _with_unscored(rejections, readings, faults_by_row)
        is_accepted = np.ones(len(readings), dtype=np.bool_)
        is_accepted[list(faults_by_row)] = False
        readings, detections = readings.take(is_accepted), detections.take(is_accepted)
    return Outcome(
        readings, detections, rejections, result.closed, positions, absorbed, result.silences
    )


def _row_bits(detections: Detections) -> NDArray[np.uint64]:
    """Return a 64-bit word (rows,) for each row, from its raw score, alarm and staleness."""
    severity = detections.severity.astype(np.uint64)
    episode = (detections.episode + 1).astype(np.uint64)
    pattern = detections.pattern.astype(np.uint64)
    by_model = np.where(
        detections.suppression < MODEL_SUPPRESSIONS, detections.suppression, 0
    ).astype(np.uint64)
    news = 2 * by_model + detections.is_news.astype(np.uint64)
    alarm = episode * np.uint64(2 * MODEL_SUPPRESSIONS) + news
    alarm = (alarm * np.uint64(len(SEVERITIES)) + severity) * np.uint64(len(PATTERNS)) + pattern
    alarm_bits = alarm * _ROW_MULTIPLIER
    alarm_bits += (detections.incident - detections.episode).astype(
        np.uint64
    ) * _INCIDENT_MULTIPLIER
    # Without a policy all these numbers are 0, so the word is the same as before policies.
    for multiplier, number in zip(
        _POLICY_MULTIPLIERS, (detections.rule, detections.limit, detections.annotation), strict=True
    ):
        alarm_bits ^= number.astype(np.uint64) * multiplier
    alarm_bits[~detections.is_anomaly] = 0
    alarm_bits += detections.stale_episodes.astype(np.uint64)
    return detections.raw_score.view(np.uint64) ^ alarm_bits


def _fold_rows(
    index: NDArray[np.int64],
    row_in_record: NDArray[np.int64],
    row_bits: NDArray[np.uint64],
    records: int,
) -> NDArray[np.uint64]:
    """Return a 64-bit word (records,) for each record, from all its rows and their order.

    `index`, `row_in_record` and `row_bits`: shape (rows,). The bits of row k of an array are
    multiplied by the power k + 1 of an odd constant. A row that is not in an array keeps its bits.
    """
    power = (row_in_record - WHOLE_RECORD).astype(np.uint64)
    record_words = np.zeros(records, dtype=np.uint64)
    np.bitwise_xor.at(record_words, index, row_bits * _ROW_MULTIPLIER**power)
    return record_words


def _with_unscored(
    rejections: list[Rejection], readings: Readings, faults_by_row: dict[int, Fault]
) -> list[Rejection]:
    """Return the rejections, and a further one for each record with rows rejected after scoring."""
    index, row_in_record = readings.index.tolist(), readings.row_in_record
    faults_by_record: dict[int, list[tuple[int, tuple[Fault, ...]]]] = {}
    for row, fault in faults_by_row.items():
        index_in_record = WHOLE_RECORD if row_in_record is None else int(row_in_record[row])
        faults_by_record.setdefault(index[row], []).append((index_in_record, (fault,)))
    rejection_by_record = {rejection.index: rejection for rejection in rejections}
    for record, faults_of_rows in faults_by_record.items():
        rejection = merge_rejections(record, sorted(faults_of_rows, key=itemgetter(0)))
        earlier_rejection = rejection_by_record.get(record)
        rejection_by_record[record] = (
            join_rejections(earlier_rejection, rejection) if earlier_rejection else rejection
        )
    return [rejection_by_record[record] for record in sorted(rejection_by_record)]


def _find_unscored(detections: Detections, order: RowOrder) -> dict[int, Fault]:
    """Return the fault of each reading that must be rejected after scoring, by row."""
    faults: dict[int, Fault] = {}
    for status, policy in ((Status.LATE, order.late), (Status.DUPLICATE, order.duplicate)):
        if policy is OutOfOrderPolicy.REJECT:
            rows = np.flatnonzero(detections.status == STATUSES.index(status))
            faults.update(dict.fromkeys(rows.tolist(), _ORDER_FAULTS[status]))
    has_no_value = detections.status == STATUSES.index(Status.MISSING)
    has_no_value &= detections.evidence.imputed.all(axis=1)
    faults.update(dict.fromkeys(np.flatnonzero(has_no_value).tolist(), _NO_VALUE_FAULT))
    failed_rows = np.flatnonzero(~np.isfinite(detections.raw_score))
    faults.update(dict.fromkeys(failed_rows.tolist(), _SCORING_FAULT))
    return faults


_ORDER_FAULTS = {
    Status.LATE: make_fault(
        Reason.LATE, "", "older than the newest row of its sensor, wanted a newer one"
    ),
    Status.DUPLICATE: make_fault(
        Reason.DUPLICATE, "", "as old as the newest row of its sensor, wanted a newer one"
    ),
}
_NO_VALUE_FAULT = make_fault(
    Reason.NULL_VALUE, "", "no signal and no context column has a value, wanted at least one value"
)
_SCORING_FAULT = make_fault(
    Reason.SCORING_FAILED, "", "the model gave no finite score for this row"
)
