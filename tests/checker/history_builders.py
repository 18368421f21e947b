"""A faultless history of ten records, and changes to it."""

from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.checker import check
from tests.checker.run_history import (
    EndOffsets,
    Expected,
    FinalAccount,
    History,
    InputPartition,
    OutputRecord,
    ReaderOutput,
    RecordOutcome,
)
from tests.checker.violation import ViolationKind

INPUT = Partition("sensors", 0)
EVENTS = Partition("anomalies", 0)
LETTERS = Partition("sensors.dlq", 0)
DIGEST = 77
OUTCOMES = {
    3: RecordOutcome.ANOMALY,
    4: RecordOutcome.DEAD_LETTER,
    5: RecordOutcome.ANOMALY,
    8: RecordOutcome.ANOMALY,
}


def expected(offset: int) -> Expected:
    """Return the outcome of a record: anomalies are 3, 5 and 8, 4 is a dead letter."""
    record_outcome = OUTCOMES.get(offset, RecordOutcome.NORMAL)
    if record_outcome is RecordOutcome.NORMAL:
        return Expected(offset, record_outcome)
    reason = "not_json" if record_outcome is RecordOutcome.DEAD_LETTER else None
    return Expected(offset, record_outcome, b"sensor", b"outcome of %d" % offset, reason)


def written(offset: int, at: int, **changes: object) -> OutputRecord:
    """Return the outcome of the input record `offset`, written at the output offset `at`."""
    outcome = expected(offset)
    output = LETTERS if outcome.record_outcome is RecordOutcome.DEAD_LETTER else EVENTS
    correct = OutputRecord(
        Coordinates(output.topic, output.number, at),
        Coordinates(INPUT.topic, INPUT.number, offset),
        outcome.key,
        outcome.value,
        outcome.reason,
    )
    return replace(correct, **changes)  # type: ignore[arg-type]  # any field


def events(*offsets: int) -> tuple[OutputRecord, ...]:
    return tuple(written(offset, at) for at, offset in enumerate(offsets))


FAULTLESS = ReaderOutput(events(3, 5, 8), (written(4, 0),))
ACCOUNT = FinalAccount(10, consumed=10, normal=6, anomalies=3, dead_letters=1, digest=DIGEST)
FAULTLESS_INPUT = InputPartition(
    INPUT, tuple(expected(offset) for offset in range(10)), 10, ACCOUNT, DIGEST, until=10
)


def a_history(
    *,
    afterwards: ReaderOutput = FAULTLESS,
    during: ReaderOutput = FAULTLESS,
    inputs: Sequence[InputPartition] = (FAULTLESS_INPUT,),
    ends: Sequence[EndOffsets] = (EndOffsets(EVENTS, 4, 4), EndOffsets(LETTERS, 2, 2)),
) -> History:
    return History(tuple(inputs), afterwards, during, tuple(ends))


def afterwards(**changes: tuple[OutputRecord, ...]) -> History:
    """Return a history with this output; the reader during the run read nothing."""
    return a_history(afterwards=replace(FAULTLESS, **changes), during=ReaderOutput())


def with_account(**changes: int) -> History:
    account = replace(ACCOUNT, **changes)
    return a_history(inputs=[replace(FAULTLESS_INPUT, account=account)])


def with_commit(offset: int, **changes: int) -> History:
    account = replace(ACCOUNT, next_offset=offset, **changes)
    one = replace(FAULTLESS_INPUT, committed=offset, account=account, until=None)
    return a_history(inputs=[one])


def kinds(history: History) -> set[ViolationKind]:
    return {violation.kind for violation in check(history)}
