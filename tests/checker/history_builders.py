"""Builders of a faultless history of ten records and of histories with violations."""

from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.checker import find_violations
from tests.checker.run_history import (
    EndOffsets,
    ExpectedOutcome,
    FinalAccount,
    History,
    InputPartition,
    OutputRecord,
    ReaderOutput,
    RecordOutcome,
)
from tests.checker.violation import ViolationKind

INPUT_PARTITION = Partition("sensors", 0)
EVENT_PARTITION = Partition("anomalies", 0)
DEAD_LETTER_PARTITION = Partition("sensors.dlq", 0)
DIGEST = 77
SPECIAL_OUTCOMES = {
    3: RecordOutcome.ANOMALY,
    4: RecordOutcome.DEAD_LETTER,
    5: RecordOutcome.ANOMALY,
    8: RecordOutcome.ANOMALY,
}


def expected_outcome(offset: int) -> ExpectedOutcome:
    """Return the expected outcome: records 3, 5 and 8 are anomalies, record 4 is a dead letter."""
    record_outcome = SPECIAL_OUTCOMES.get(offset, RecordOutcome.NORMAL)
    if record_outcome is RecordOutcome.NORMAL:
        return ExpectedOutcome(offset, record_outcome)
    reason = "not_json" if record_outcome is RecordOutcome.DEAD_LETTER else None
    return ExpectedOutcome(offset, record_outcome, b"sensor", b"outcome of %d" % offset, reason)


def output_record(offset: int, output_offset: int, **changes: object) -> OutputRecord:
    """Return the outcome of input record `offset`, published at `output_offset`."""
    outcome = expected_outcome(offset)
    output = (
        DEAD_LETTER_PARTITION
        if outcome.record_outcome is RecordOutcome.DEAD_LETTER
        else EVENT_PARTITION
    )
    record = OutputRecord(
        Coordinates(output.topic, output.number, output_offset),
        Coordinates(INPUT_PARTITION.topic, INPUT_PARTITION.number, offset),
        outcome.key,
        outcome.value,
        outcome.reason,
    )
    return replace(record, **changes)  # type: ignore[arg-type]  # any field


def event_records(*offsets: int) -> tuple[OutputRecord, ...]:
    return tuple(
        output_record(offset, output_offset) for output_offset, offset in enumerate(offsets)
    )


FAULTLESS_OUTPUT = ReaderOutput(event_records(3, 5, 8), (output_record(4, 0),))
ACCOUNT = FinalAccount(10, consumed=10, normal=6, anomalies=3, dead_letters=1, digest=DIGEST)
FAULTLESS_INPUT = InputPartition(
    INPUT_PARTITION,
    tuple(expected_outcome(offset) for offset in range(10)),
    10,
    ACCOUNT,
    DIGEST,
    required_offset=10,
)


def a_history(
    *,
    output_after_run: ReaderOutput = FAULTLESS_OUTPUT,
    output_during_run: ReaderOutput = FAULTLESS_OUTPUT,
    inputs: Sequence[InputPartition] = (FAULTLESS_INPUT,),
    output_ends: Sequence[EndOffsets] = (
        EndOffsets(EVENT_PARTITION, 4, 4),
        EndOffsets(DEAD_LETTER_PARTITION, 2, 2),
    ),
) -> History:
    return History(tuple(inputs), output_after_run, output_during_run, tuple(output_ends))


def history_after_run(**changes: tuple[OutputRecord, ...]) -> History:
    """Return a history with changed output after the run and without a reader during the run."""
    return a_history(
        output_after_run=replace(FAULTLESS_OUTPUT, **changes), output_during_run=ReaderOutput()
    )


def history_with_account(**changes: int) -> History:
    account = replace(ACCOUNT, **changes)
    return a_history(inputs=[replace(FAULTLESS_INPUT, account=account)])


def history_with_commit(offset: int, **changes: int) -> History:
    account = replace(ACCOUNT, next_offset=offset, **changes)
    input_partition = replace(
        FAULTLESS_INPUT, committed_offset=offset, account=account, required_offset=None
    )
    return a_history(inputs=[input_partition])


def violation_kinds(history: History) -> set[ViolationKind]:
    return {violation.kind for violation in find_violations(history)}
