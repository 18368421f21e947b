"""The proof covers the incidents in the digest of rows and in snapshots."""

from dataclasses import replace
from functools import cache

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.proof.ledger_intervals import Verdict
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.proof.consumer_group import LedgerGroup
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, START_TIME, a_detector
from tests.scoring.grouped_rows import grouped_detector

ROWS = 60
START = START_TIME - 86_400_000_000


@cache
def versions() -> dict[str, Detector]:
    """Return two versions that group the sensors a-0 to b-1 by their ids, and one without groups.

    The second version has a single group.
    """
    return {
        "by_prefix": replace(grouped_detector(), version="by_prefix"),
        "all": replace(grouped_detector(groups={"*": "plant"}), version="all"),
        "none": a_detector("none"),
    }


def records(first: int, count: int) -> list[StoredRecord]:
    """Return rows of four sensors in turn; three of four rows of each sensor are in an alarm."""
    return [
        StoredRecord(
            a_payload(
                NORMAL_VALUES if (n // 4 + n) % 4 == 0 else ANOMALOUS_VALUES,
                timestamp=format_instant(START + 1_000_000 * n),
                sensor_id=f"{'ab'[n % 2]}-{n % 4 // 2}",
            ),
            n,
        )
        for n in range(first, first + count)
    ]


def a_group() -> LedgerGroup:
    """Return a group that was scored by three versions, with a snapshot between two changes."""
    group = LedgerGroup(versions())
    group.consume(records(0, ROWS))
    group.write_snapshot()
    group.consume(records(ROWS, 7))
    group.change_version("all")
    group.consume(records(ROWS + 7, ROWS))
    group.write_snapshot()
    group.change_version("none")
    group.consume(records(2 * ROWS + 7, 5))
    return group


def test_incidents_are_proven_across_snapshots_and_versions_with_other_groups() -> None:
    group = a_group()

    assert [finding.verdict for finding in group.verify()] == [Verdict.PROVEN] * 4
    assert b'"incidents":[[["' in next(iter(group.snapshots.values())).content


def test_the_proof_can_begin_at_a_snapshot_with_open_incidents() -> None:
    group = a_group()

    verdicts = [finding.verdict for finding in group.verify(first_retained=ROWS)]

    assert verdicts == [Verdict.NOT_RETAINED, *[Verdict.PROVEN] * 3]


def test_another_incident_in_a_snapshot_is_detected() -> None:
    group = a_group()
    reference, snapshot = next(iter(group.snapshots.items()))
    content = snapshot.content.replace(b'"incidents":[[["', b'"incidents":[[["other ', 1)
    assert content != snapshot.content
    group.snapshots[reference] = replace(snapshot, content=content)

    first, *_ = group.verify()

    assert first.verdict is Verdict.DIFFERENT
    assert "the snapshot at offset 60 differs from the memory" in first.detail


def test_a_wrong_incident_of_a_row_changes_the_digest() -> None:
    """The records are verified with a version that has other groups."""
    group = a_group()
    group.detectors["by_prefix"] = replace(versions()["all"], version="by_prefix")

    first, *_ = group.verify()

    assert first.verdict is Verdict.DIFFERENT
    assert "digest" in first.detail
