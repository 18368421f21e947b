"""Fabricated histories: a faultless one of ten records, and ways to spoil it."""

from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.checker import check
from tests.checker.run_history import (
    Ending,
    EndOffsets,
    Expected,
    FinalAccount,
    History,
    InputPartition,
    Reading,
    Written,
)
from tests.checker.violation import Kind

INPUT = Partition("sensors", 0)
EVENTS = Partition("anomalies", 0)
LETTERS = Partition("sensors.dlq", 0)
DIGEST = 77
ENDINGS = {3: Ending.ANOMALY, 4: Ending.DEAD_LETTER, 5: Ending.ANOMALY, 8: Ending.ANOMALY}


def expected(offset: int) -> Expected:
    """Ten records: anomalies at 3, 5 and 8, a dead letter at 4, the others normal."""
    ending = ENDINGS.get(offset, Ending.NORMAL)
    if ending is Ending.NORMAL:
        return Expected(offset, ending)
    reason = "not_json" if ending is Ending.DEAD_LETTER else None
    return Expected(offset, ending, b"sensor", b"outcome of %d" % offset, reason)


def written(offset: int, at: int, **changes: object) -> Written:
    """Write the outcome of the input record `offset` at the output offset `at`."""
    wanted = expected(offset)
    output = LETTERS if wanted.ending is Ending.DEAD_LETTER else EVENTS
    right = Written(
        Coordinates(output.topic, output.number, at),
        Coordinates(INPUT.topic, INPUT.number, offset),
        wanted.key,
        wanted.value,
        wanted.reason,
    )
    return replace(right, **changes)  # type: ignore[arg-type]  # what a test changes is its affair


def events(*offsets: int) -> tuple[Written, ...]:
    return tuple(written(offset, at) for at, offset in enumerate(offsets))


FAULTLESS = Reading(events(3, 5, 8), (written(4, 0),))
ACCOUNT = FinalAccount(10, consumed=10, normal=6, anomalies=3, dead_letters=1, digest=DIGEST)
FAULTLESS_INPUT = InputPartition(
    INPUT, tuple(expected(offset) for offset in range(10)), 10, ACCOUNT, DIGEST, until=10
)


def a_history(
    *,
    afterwards: Reading = FAULTLESS,
    during: Reading = FAULTLESS,
    inputs: Sequence[InputPartition] = (FAULTLESS_INPUT,),
    ends: Sequence[EndOffsets] = (EndOffsets(EVENTS, 4, 4), EndOffsets(LETTERS, 2, 2)),
) -> History:
    return History(tuple(inputs), afterwards, during, tuple(ends))


def afterwards(**changes: tuple[Written, ...]) -> History:
    """Give a history whose output is as told; the reader during the run saw nothing."""
    return a_history(afterwards=replace(FAULTLESS, **changes), during=Reading())


def with_account(**changes: int) -> History:
    account = replace(ACCOUNT, **changes)
    return a_history(inputs=[replace(FAULTLESS_INPUT, account=account)])


def with_commit(offset: int, **changes: int) -> History:
    account = replace(ACCOUNT, next_offset=offset, **changes)
    one = replace(FAULTLESS_INPUT, committed=offset, account=account, until=None)
    return a_history(inputs=[one])


def kinds(history: History) -> set[Kind]:
    return {violation.kind for violation in check(history)}
