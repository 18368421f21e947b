"""Checks that every input record of a run has exactly one outcome, correct and in order."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import structs

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.outcome_counts import check_account, check_offset
from tests.checker.run_history import (
    EndOffsets,
    EpisodeEnd,
    EpisodeNotice,
    ExpectedOutcome,
    History,
    OutputRecord,
    ReaderOutput,
    RecordOutcome,
)
from tests.checker.violation import Violation, ViolationKind, violation_report


def find_violations(history: History) -> list[Violation]:
    """Return the violations of a history; a faultless history has none."""
    return [
        *_check_outcomes(history, RecordOutcome.ANOMALY, history.output_after_run.detections),
        *_check_episode_ends(history),
        *_check_notices(history),
        *_check_outcomes(history, RecordOutcome.DEAD_LETTER, history.output_after_run.dead_letters),
        *_check_order(history.output_during_run, "during"),
        *_check_order(history.output_after_run, "afterwards"),
        *_check_concurrent_reader(
            history.output_during_run.events, history.output_after_run.events
        ),
        *_check_concurrent_reader(
            history.output_during_run.dead_letters, history.output_after_run.dead_letters
        ),
        *(
            violation
            for input_partition in history.inputs
            for violation in check_offset(input_partition)
        ),
        *(
            violation
            for input_partition in history.inputs
            for violation in check_account(input_partition)
        ),
        *_check_open_transactions(history.output_ends),
    ]


def assert_faultless(history: History) -> None:
    """Raise AssertionError with a report if the history has violations."""
    violations = find_violations(history)
    assert not violations, violation_report(violations)


def _check_outcomes(
    history: History, record_outcome: RecordOutcome, records: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """Compare the published outcomes with the expected outcomes of the input records."""
    expected_by_source = _expected_records(history, record_outcome)
    committed_offsets = {
        input_partition.partition: input_partition.committed_offset or 0
        for input_partition in history.inputs
    }
    sources = {record.source for record in records}
    for source, expected_outcome in expected_by_source.items():
        is_committed = (
            expected_outcome.offset < committed_offsets[Partition(source.topic, source.partition)]
        )
        if is_committed and source not in sources:
            yield Violation(
                ViolationKind.LOST_OUTCOME, f"{source} should be an {record_outcome}; there is none"
            )
    for record in records:
        expected_record = expected_by_source.get(record.source)
        if expected_record is None:
            yield Violation(
                ViolationKind.UNEXPECTED_OUTCOME,
                f"{record.coordinates}: an {record_outcome} for {record.source}",
            )
            continue
        if (
            record.source.offset
            >= committed_offsets[Partition(record.source.topic, record.source.partition)]
        ):
            yield Violation(
                ViolationKind.UNCOMMITTED_OUTCOME,
                f"{record.coordinates}: an {record_outcome} for {record.source}",
            )
        yield from _check_bytes(record, expected_record)


def _check_episode_ends(history: History) -> Iterator[Violation]:
    """Compare the published events of ended episodes with the expected events."""
    expected_ends = {
        Coordinates(
            input_partition.partition.topic, input_partition.partition.number, episode_end.offset
        ): episode_end
        for input_partition in history.inputs
        for episode_end in input_partition.episode_ends
    }
    committed_offsets = {
        input_partition.partition: input_partition.committed_offset or 0
        for input_partition in history.inputs
    }
    records = history.output_after_run.episode_ends
    sources = {record.source for record in records}
    for source, episode_end in expected_ends.items():
        is_committed = (
            episode_end.offset < committed_offsets[Partition(source.topic, source.partition)]
        )
        if is_committed and source not in sources:
            yield Violation(
                ViolationKind.LOST_OUTCOME, f"{source} should end an episode; there is no event"
            )
    for record in records:
        description = f"{record.coordinates}: an end of {record.episode} at {record.source}"
        expected_record = expected_ends.get(record.source)
        if (
            expected_record is None
            or structs.replace(record.source, offset=expected_record.episode) != record.episode
        ):
            yield Violation(ViolationKind.UNEXPECTED_OUTCOME, description)
            continue
        if (
            record.source.offset
            >= committed_offsets[Partition(record.source.topic, record.source.partition)]
        ):
            yield Violation(ViolationKind.UNCOMMITTED_OUTCOME, description)
        yield from _check_bytes(record, expected_record)


def _check_notices(history: History) -> Iterator[Violation]:
    """Compare the published events of rises and acceptances with the expected events."""
    records = history.output_after_run.notices
    published_ids = Counter(record.notice for record in records)
    for event_id, count in published_ids.items():
        if count > 1:
            yield Violation(
                ViolationKind.DOUBLED_OUTCOME, f"{event_id} was published {count} times"
            )
    expected_notices = {
        notice.event_id: (notice, notice.offset < (input_partition.committed_offset or 0))
        for input_partition in history.inputs
        for notice in input_partition.notices
    }
    for event_id, (_, is_committed) in expected_notices.items():
        if is_committed and event_id not in published_ids:
            yield Violation(ViolationKind.LOST_OUTCOME, f"there is no event {event_id}")
    for record in records:
        description = f"{record.coordinates}: {record.notice}"
        expected_notice, is_committed = expected_notices.get(record.notice or "", (None, False))
        if expected_notice is None:
            yield Violation(ViolationKind.UNEXPECTED_OUTCOME, description)
            continue
        if not is_committed:
            yield Violation(ViolationKind.UNCOMMITTED_OUTCOME, description)
        yield from _check_bytes(record, expected_notice)


def _expected_records(
    history: History, record_outcome: RecordOutcome
) -> dict[Coordinates, ExpectedOutcome]:
    return {
        Coordinates(
            input_partition.partition.topic,
            input_partition.partition.number,
            expected_outcome.offset,
        ): expected_outcome
        for input_partition in history.inputs
        for expected_outcome in input_partition.expected_outcomes
        if expected_outcome.record_outcome is record_outcome and expected_outcome.has_event
    }


def _check_bytes(
    record: OutputRecord, expected_record: ExpectedOutcome | EpisodeEnd | EpisodeNotice
) -> Iterator[Violation]:
    reason = expected_record.reason if isinstance(expected_record, ExpectedOutcome) else None
    value = expected_record.value
    if record.truncated and value is not None and record.value is not None:
        value = value[: len(record.value)]
    for field_name, actual_value, expected_value in (
        ("key", record.key, expected_record.key),
        ("reason", record.reason, reason),
        ("value", record.value, value),
    ):
        if actual_value != expected_value:
            yield Violation(
                ViolationKind.CHANGED_OUTCOME,
                f"{record.coordinates}: {field_name} {actual_value!r}, expected {expected_value!r}",
            )


def _check_order(output: ReaderOutput, read_time: str) -> Iterator[Violation]:
    """Yield a violation for each doubled outcome and for each outcome out of order.

    If one record both ends an episode and is an anomaly, the event of the ended episode must come
    first. Notices come last.
    """
    outcome_counts = Counter(record.source for record in (*output.detections, *output.dead_letters))
    for source, count in outcome_counts.items():
        if count > 1:
            yield Violation(
                ViolationKind.DOUBLED_OUTCOME, f"{source} has {count} outcomes, read {read_time}"
            )
    for episode, count in Counter(record.episode for record in output.episode_ends).items():
        if count > 1:
            yield Violation(
                ViolationKind.DOUBLED_OUTCOME,
                f"the episode of {episode} ends {count} times, {read_time}",
            )
    for records in (output.events, output.dead_letters):
        for pair_records in _records_by_partition_pair(records).values():
            for previous_record, next_record in pairwise(pair_records):
                if _order_key(next_record) < _order_key(previous_record):
                    yield Violation(
                        ViolationKind.REORDERED_OUTCOME,
                        f"{next_record.source} after {previous_record.source}, read {read_time}",
                    )


def _order_key(record: OutputRecord) -> tuple[int, bool, bool]:
    return record.source.offset, record.episode is None, record.notice is not None


def _records_by_partition_pair(
    records: Sequence[OutputRecord],
) -> dict[tuple[Partition, Partition], list[OutputRecord]]:
    """Group records by output partition and input partition.

    Within a group the records must be in input order.
    """
    records_by_pair = defaultdict(list)
    for record in records:
        output_partition = Partition(record.coordinates.topic, record.coordinates.partition)
        records_by_pair[
            output_partition, Partition(record.source.topic, record.source.partition)
        ].append(record)
    return records_by_pair


def _check_concurrent_reader(
    records_during_run: Sequence[OutputRecord], records_after_run: Sequence[OutputRecord]
) -> Iterator[Violation]:
    """Check that a reader during the run got the same records as a reader after the run.

    The reader during the run may have read only the first records of a partition.
    """
    final_records = {record.coordinates: record for record in records_after_run}
    last_read_offsets: dict[Partition, int] = {}
    for record in records_during_run:
        last_read_offsets[Partition(record.coordinates.topic, record.coordinates.partition)] = (
            record.coordinates.offset
        )
        if final_records.get(record.coordinates) != record:
            yield Violation(
                ViolationKind.ABORTED_RECORD,
                f"{record.coordinates} was {record} during the run, "
                f"is {final_records.get(record.coordinates)}",
            )
    read_coordinates = {record.coordinates for record in records_during_run}
    for coordinates in final_records:
        if coordinates not in read_coordinates and coordinates.offset < last_read_offsets.get(
            Partition(coordinates.topic, coordinates.partition), -1
        ):
            yield Violation(
                ViolationKind.SKIPPED_RECORD, f"the reader skipped {coordinates} during the run"
            )


def _check_open_transactions(output_ends: Sequence[EndOffsets]) -> Iterator[Violation]:
    for partition_ends in output_ends:
        if partition_ends.read_committed != partition_ends.read_uncommitted:
            yield Violation(
                ViolationKind.OPEN_TRANSACTION,
                f"{partition_ends.partition} ends at {partition_ends.read_committed} "
                f"for read_committed, at {partition_ends.read_uncommitted} for all",
            )
