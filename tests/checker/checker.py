"""Judge a history: has every input record exactly one outcome, the right one, in order."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import structs

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.outcome_counts import check_account, check_offset
from tests.checker.run_history import (
    EndOffsets,
    EpisodeEnd,
    Expected,
    History,
    OutputRecord,
    ReaderOutput,
    RecordOutcome,
)
from tests.checker.violation import Violation, ViolationKind, report


def check(history: History) -> list[Violation]:
    """Return every broken promise, none for a faultless history."""
    return [
        *_check_outcomes(history, RecordOutcome.ANOMALY, history.afterwards.detections),
        *_check_episode_ends(history),
        *_check_outcomes(history, RecordOutcome.DEAD_LETTER, history.afterwards.dead_letters),
        *_check_reading(history.during, "during"),
        *_check_reading(history.afterwards, "afterwards"),
        *_compare(history.during.events, history.afterwards.events),
        *_compare(history.during.dead_letters, history.afterwards.dead_letters),
        *(found for one in history.inputs for found in check_offset(one)),
        *(found for one in history.inputs for found in check_account(one)),
        *_check_open_transactions(history.ends),
    ]


def assert_faultless(history: History) -> None:
    """Fail with a report of every broken promise, if there is one."""
    violations = check(history)
    assert not violations, report(violations)


def _check_outcomes(
    history: History, record_outcome: RecordOutcome, written: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """Compare what was written with what must be, as sets of input coordinates."""
    wanted = _wanted(history, record_outcome)
    below = {one.partition: one.committed or 0 for one in history.inputs}
    seen = {one.source for one in written}
    for source, expected in wanted.items():
        committed = expected.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(
                ViolationKind.LOST, f"{source} should be an {record_outcome}; there is none"
            )
    for one in written:
        expected_record = wanted.get(one.source)
        if expected_record is None:
            yield Violation(
                ViolationKind.UNEXPECTED, f"{one.at}: an {record_outcome} for {one.source}"
            )
            continue
        if one.source.offset >= below[Partition(one.source.topic, one.source.partition)]:
            yield Violation(
                ViolationKind.UNCOMMITTED, f"{one.at}: an {record_outcome} for {one.source}"
            )
        yield from _check_bytes(one, expected_record)


def _check_episode_ends(history: History) -> Iterator[Violation]:
    """Compare the ends of episodes that were told with those that there must be."""
    wanted = {
        Coordinates(one.partition.topic, one.partition.number, episode_end.offset): episode_end
        for one in history.inputs
        for episode_end in one.episode_ends
    }
    below = {one.partition: one.committed or 0 for one in history.inputs}
    written = history.afterwards.episode_ends
    seen = {one.source for one in written}
    for source, episode_end in wanted.items():
        committed = episode_end.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(ViolationKind.LOST, f"{source} should end an episode; no event says so")
    for one in written:
        what = f"{one.at}: an end of {one.episode} at {one.source}"
        expected_record = wanted.get(one.source)
        if (
            expected_record is None
            or structs.replace(one.source, offset=expected_record.episode) != one.episode
        ):
            yield Violation(ViolationKind.UNEXPECTED, what)
            continue
        if one.source.offset >= below[Partition(one.source.topic, one.source.partition)]:
            yield Violation(ViolationKind.UNCOMMITTED, what)
        yield from _check_bytes(one, expected_record)


def _wanted(history: History, record_outcome: RecordOutcome) -> dict[Coordinates, Expected]:
    return {
        Coordinates(one.partition.topic, one.partition.number, expected.offset): expected
        for one in history.inputs
        for expected in one.expected
        if expected.record_outcome is record_outcome and expected.has_event
    }


def _check_bytes(found: OutputRecord, wanted: Expected | EpisodeEnd) -> Iterator[Violation]:
    if found.key != wanted.key:
        yield Violation(
            ViolationKind.CHANGED, f"{found.at}: key {found.key!r}, wanted {wanted.key!r}"
        )
    reason = wanted.reason if isinstance(wanted, Expected) else None
    if found.reason != reason:
        yield Violation(
            ViolationKind.CHANGED, f"{found.at}: reason {found.reason!r}, wanted {reason!r}"
        )
    value = wanted.value
    if found.truncated and value is not None and found.value is not None:
        value = value[: len(found.value)]
    if found.value != value:
        yield Violation(
            ViolationKind.CHANGED, f"{found.at}: value {found.value!r}, wanted {value!r}"
        )


def _check_reading(reading: ReaderOutput, when: str) -> Iterator[Violation]:
    """No input record comes up twice, and none before an earlier one of its partition.

    Where a record ends an episode and is an anomaly, the episode's end comes first.
    """
    counts = Counter(one.source for one in (*reading.detections, *reading.dead_letters))
    for source, count in counts.items():
        if count > 1:
            yield Violation(ViolationKind.DOUBLED, f"{source} has {count} outcomes, read {when}")
    for episode, count in Counter(one.episode for one in reading.episode_ends).items():
        if count > 1:
            yield Violation(
                ViolationKind.DOUBLED, f"the episode of {episode} ends {count} times, {when}"
            )
    for written in (reading.events, reading.dead_letters):
        for pair_records in _by_partition_pair(written).values():
            for before, after in pairwise(pair_records):
                if _order_key(after) < _order_key(before):
                    yield Violation(
                        ViolationKind.REORDERED,
                        f"{after.source} after {before.source}, read {when}",
                    )


def _order_key(written: OutputRecord) -> tuple[int, bool]:
    return written.source.offset, written.episode is None


def _by_partition_pair(
    written: Sequence[OutputRecord],
) -> dict[tuple[Partition, Partition], list[OutputRecord]]:
    """Split by output partition and input partition: within both, order is promised."""
    lanes = defaultdict(list)
    for one in written:
        output = Partition(one.at.topic, one.at.partition)
        lanes[output, Partition(one.source.topic, one.source.partition)].append(one)
    return lanes


def _compare(
    during: Sequence[OutputRecord], afterwards: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """What was read during the run is a beginning, of each partition, of what is there after."""
    final_records = {one.at: one for one in afterwards}
    reached: dict[Partition, int] = {}
    for one in during:
        reached[Partition(one.at.topic, one.at.partition)] = one.at.offset
        if final_records.get(one.at) != one:
            yield Violation(
                ViolationKind.PHANTOM,
                f"{one.at} was {one} during the run, is {final_records.get(one.at)}",
            )
    seen = {one.at for one in during}
    for at in final_records:
        if at not in seen and at.offset < reached.get(Partition(at.topic, at.partition), -1):
            yield Violation(
                ViolationKind.MISSED, f"{at} was passed over by the reader during the run"
            )


def _check_open_transactions(ends: Sequence[EndOffsets]) -> Iterator[Violation]:
    for end in ends:
        if end.committed != end.uncommitted:
            yield Violation(
                ViolationKind.HANGING,
                f"{end.partition} ends at {end.committed} for read_committed, "
                f"at {end.uncommitted} for all",
            )
