"""Checks that every input record of a history has exactly one correct outcome, in order."""

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
    """Return all violations of a history; a faultless history has none."""
    return [
        *_check_outcomes(history, RecordOutcome.ANOMALY, history.afterwards.detections),
        *_check_episode_ends(history),
        *_check_outcomes(history, RecordOutcome.DEAD_LETTER, history.afterwards.dead_letters),
        *_check_order(history.during, "during"),
        *_check_order(history.afterwards, "afterwards"),
        *_compare(history.during.events, history.afterwards.events),
        *_compare(history.during.dead_letters, history.afterwards.dead_letters),
        *(violation for one in history.inputs for violation in check_offset(one)),
        *(violation for one in history.inputs for violation in check_account(one)),
        *_check_open_transactions(history.ends),
    ]


def assert_faultless(history: History) -> None:
    """Fail with a report of all violations, if there are any."""
    violations = check(history)
    assert not violations, report(violations)


def _check_outcomes(
    history: History, record_outcome: RecordOutcome, written: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """Compare the written outcomes with the expected ones, by input record."""
    all_expected = _expected_records(history, record_outcome)
    below = {one.partition: one.committed or 0 for one in history.inputs}
    seen = {one.source for one in written}
    for source, expected in all_expected.items():
        committed = expected.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(
                ViolationKind.LOST, f"{source} should be an {record_outcome}; there is none"
            )
    for one in written:
        expected_record = all_expected.get(one.source)
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
    """Compare the written ends of episodes with the expected ones."""
    expected_ends = {
        Coordinates(one.partition.topic, one.partition.number, episode_end.offset): episode_end
        for one in history.inputs
        for episode_end in one.episode_ends
    }
    below = {one.partition: one.committed or 0 for one in history.inputs}
    written = history.afterwards.episode_ends
    seen = {one.source for one in written}
    for source, episode_end in expected_ends.items():
        committed = episode_end.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(
                ViolationKind.LOST, f"{source} should end an episode; there is no event"
            )
    for one in written:
        what = f"{one.at}: an end of {one.episode} at {one.source}"
        expected_record = expected_ends.get(one.source)
        if (
            expected_record is None
            or structs.replace(one.source, offset=expected_record.episode) != one.episode
        ):
            yield Violation(ViolationKind.UNEXPECTED, what)
            continue
        if one.source.offset >= below[Partition(one.source.topic, one.source.partition)]:
            yield Violation(ViolationKind.UNCOMMITTED, what)
        yield from _check_bytes(one, expected_record)


def _expected_records(
    history: History, record_outcome: RecordOutcome
) -> dict[Coordinates, Expected]:
    return {
        Coordinates(one.partition.topic, one.partition.number, expected.offset): expected
        for one in history.inputs
        for expected in one.expected
        if expected.record_outcome is record_outcome and expected.has_event
    }


def _check_bytes(written: OutputRecord, expected: Expected | EpisodeEnd) -> Iterator[Violation]:
    reason = expected.reason if isinstance(expected, Expected) else None
    value = expected.value
    if written.truncated and value is not None and written.value is not None:
        value = value[: len(written.value)]
    for name, actual, wanted in (
        ("key", written.key, expected.key),
        ("reason", written.reason, reason),
        ("value", written.value, value),
    ):
        if actual != wanted:
            yield Violation(
                ViolationKind.CHANGED, f"{written.at}: {name} {actual!r}, expected {wanted!r}"
            )


def _check_order(reading: ReaderOutput, when: str) -> Iterator[Violation]:
    """Yield outcomes of one input record that are doubled, and outcomes that are out of order.

    If a record ends an episode and is an anomaly, the end must come first.
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
    """Group by output and input partition; the order is guaranteed within each group."""
    groups = defaultdict(list)
    for one in written:
        output = Partition(one.at.topic, one.at.partition)
        groups[output, Partition(one.source.topic, one.source.partition)].append(one)
    return groups


def _compare(
    during: Sequence[OutputRecord], afterwards: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """Check that the records read during the run are the first ones of each partition."""
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
            yield Violation(ViolationKind.MISSED, f"the reader skipped {at} during the run")


def _check_open_transactions(ends: Sequence[EndOffsets]) -> Iterator[Violation]:
    for end in ends:
        if end.committed != end.uncommitted:
            yield Violation(
                ViolationKind.HANGING,
                f"{end.partition} ends at {end.committed} for read_committed, "
                f"at {end.uncommitted} for all",
            )
