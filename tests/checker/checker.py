"""Judge a history: has every input record exactly one outcome, the right one, in order."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

from msgspec import structs

from sensorwatch.common.kafka.records import Coordinates, Partition
from tests.checker.outcome_counts import check_account, check_offset
from tests.checker.run_history import (
    Closing,
    Ending,
    EndOffsets,
    Expected,
    History,
    Reading,
    Written,
)
from tests.checker.violation import Kind, Violation, report


def check(history: History) -> list[Violation]:
    """Return every broken promise, none for a faultless history."""
    return [
        *_check_outcomes(history, Ending.ANOMALY, history.afterwards.detections),
        *_check_closings(history),
        *_check_outcomes(history, Ending.DEAD_LETTER, history.afterwards.dead_letters),
        *_check_reading(history.during, "during"),
        *_check_reading(history.afterwards, "afterwards"),
        *_compare(history.during.events, history.afterwards.events),
        *_compare(history.during.dead_letters, history.afterwards.dead_letters),
        *(found for one in history.inputs for found in check_offset(one)),
        *(found for one in history.inputs for found in check_account(one)),
        *_check_hanging(history.ends),
    ]


def assert_faultless(history: History) -> None:
    """Fail with a report of every broken promise, if there is one."""
    violations = check(history)
    assert not violations, report(violations)


def _check_outcomes(
    history: History, ending: Ending, written: Sequence[Written]
) -> Iterator[Violation]:
    """Compare what was written with what must be, as sets of input coordinates."""
    wanted = _wanted(history, ending)
    below = {one.partition: one.committed or 0 for one in history.inputs}
    seen = {one.source for one in written}
    for source, expected in wanted.items():
        committed = expected.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(Kind.LOST, f"{source} should be an {ending}; there is none")
    for one in written:
        must_be = wanted.get(one.source)
        if must_be is None:
            yield Violation(Kind.UNEXPECTED, f"{one.at}: an {ending} for {one.source}")
            continue
        if one.source.offset >= below[Partition(one.source.topic, one.source.partition)]:
            yield Violation(Kind.UNCOMMITTED, f"{one.at}: an {ending} for {one.source}")
        yield from _check_bytes(one, must_be)


def _check_closings(history: History) -> Iterator[Violation]:
    """Compare the ends of episodes that were told with those that there must be."""
    wanted = {
        Coordinates(one.partition.topic, one.partition.number, closing.offset): closing
        for one in history.inputs
        for closing in one.closings
    }
    below = {one.partition: one.committed or 0 for one in history.inputs}
    written = history.afterwards.closings
    seen = {one.source for one in written}
    for source, closing in wanted.items():
        committed = closing.offset < below[Partition(source.topic, source.partition)]
        if committed and source not in seen:
            yield Violation(Kind.LOST, f"{source} should end an episode; no event says so")
    for one in written:
        what = f"{one.at}: an end of {one.episode} at {one.source}"
        must_be = wanted.get(one.source)
        if must_be is None or structs.replace(one.source, offset=must_be.episode) != one.episode:
            yield Violation(Kind.UNEXPECTED, what)
            continue
        if one.source.offset >= below[Partition(one.source.topic, one.source.partition)]:
            yield Violation(Kind.UNCOMMITTED, what)
        yield from _check_bytes(one, must_be)


def _wanted(history: History, ending: Ending) -> dict[Coordinates, Expected]:
    return {
        Coordinates(one.partition.topic, one.partition.number, expected.offset): expected
        for one in history.inputs
        for expected in one.expected
        if expected.ending is ending and expected.told
    }


def _check_bytes(found: Written, wanted: Expected | Closing) -> Iterator[Violation]:
    if found.key != wanted.key:
        yield Violation(Kind.CHANGED, f"{found.at}: key {found.key!r}, wanted {wanted.key!r}")
    reason = wanted.reason if isinstance(wanted, Expected) else None
    if found.reason != reason:
        yield Violation(Kind.CHANGED, f"{found.at}: reason {found.reason!r}, wanted {reason!r}")
    value = wanted.value
    if found.truncated and value is not None and found.value is not None:
        value = value[: len(found.value)]
    if found.value != value:
        yield Violation(Kind.CHANGED, f"{found.at}: value {found.value!r}, wanted {value!r}")


def _check_reading(reading: Reading, when: str) -> Iterator[Violation]:
    """No input record comes up twice, and none before an earlier one of its partition.

    Where a record ends an episode and is an anomaly, the episode's end comes first.
    """
    counts = Counter(one.source for one in (*reading.detections, *reading.dead_letters))
    for source, count in counts.items():
        if count > 1:
            yield Violation(Kind.DOUBLED, f"{source} has {count} outcomes, read {when}")
    for episode, count in Counter(one.episode for one in reading.closings).items():
        if count > 1:
            yield Violation(Kind.DOUBLED, f"the episode of {episode} ends {count} times, {when}")
    for written in (reading.events, reading.dead_letters):
        for lane in _lanes(written).values():
            for before, after in pairwise(lane):
                if _place(after) < _place(before):
                    yield Violation(
                        Kind.REORDERED, f"{after.source} after {before.source}, read {when}"
                    )


def _place(written: Written) -> tuple[int, bool]:
    return written.source.offset, written.episode is None


def _lanes(written: Sequence[Written]) -> dict[tuple[Partition, Partition], list[Written]]:
    """Split by output partition and input partition: within both, order is promised."""
    lanes = defaultdict(list)
    for one in written:
        output = Partition(one.at.topic, one.at.partition)
        lanes[output, Partition(one.source.topic, one.source.partition)].append(one)
    return lanes


def _compare(during: Sequence[Written], afterwards: Sequence[Written]) -> Iterator[Violation]:
    """What was read during the run is a beginning, of each partition, of what is there after."""
    stays = {one.at: one for one in afterwards}
    reached: dict[Partition, int] = {}
    for one in during:
        reached[Partition(one.at.topic, one.at.partition)] = one.at.offset
        if stays.get(one.at) != one:
            yield Violation(
                Kind.PHANTOM, f"{one.at} was {one} during the run, is {stays.get(one.at)}"
            )
    seen = {one.at for one in during}
    for at in stays:
        if at not in seen and at.offset < reached.get(Partition(at.topic, at.partition), -1):
            yield Violation(Kind.MISSED, f"{at} was passed over by the reader during the run")


def _check_hanging(ends: Sequence[EndOffsets]) -> Iterator[Violation]:
    for end in ends:
        if end.committed != end.uncommitted:
            yield Violation(
                Kind.HANGING,
                f"{end.partition} ends at {end.committed} for read_committed, "
                f"at {end.uncommitted} for all",
            )
