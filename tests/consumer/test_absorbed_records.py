"""Absorbed records are consumed, counted and proven, but nothing is published for them."""

from dataclasses import replace
from random import Random

import pytest

from sensorwatch.common.errors import BreakerOpen
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.proof.ledger_intervals import Verdict
from tests.consumer.group_state import consume_twice
from tests.consumer.rig import PARTITION_0, LoopRig, batch_steps
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.proof.consumer_group import LedgerGroup
from tests.reading_builders import ANOMALOUS_VALUES, a_detector
from tests.scoring.absorbing import HEARTBEAT, process_with_heartbeats

ROWS_PER_PARTITION = 40


@pytest.fixture(autouse=True)
def _absorb_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every caller of `process` absorb heartbeats."""
    for module in ("consumer.loop", "consumer.restoration"):
        monkeypatch.setattr(f"sensorwatch.{module}.process", process_with_heartbeats)


def partition_records(partition: int = 0) -> list[StoredRecord]:
    """Return records. Every second one is a heartbeat, and some others are anomalous or invalid."""
    values = []
    for number in range(ROWS_PER_PARTITION):
        payload = a_payload(
            ANOMALOUS_VALUES if number % 7 == 6 else (0.1, -0.1, 0.0),
            timestamp=f"2024-12-31T00:{number:02}:00Z",
        )
        values += [HEARTBEAT, b"{" if number % 11 == 10 else payload]
    return [StoredRecord(value, offset, partition) for offset, value in enumerate(values)]


def counts_of(account: Account) -> dict[str, int]:
    names = ("consumed", "normal", "anomalies", "dead_letters", "absorbed", "rows")
    return {name: getattr(account, name) for name in names}


def test_absorbed_records_are_counted_and_nothing_is_published_for_them() -> None:
    rig = LoopRig(
        *batch_steps(HEARTBEAT, a_payload(), HEARTBEAT, a_payload(ANOMALOUS_VALUES), b"{")
    ).with_opened_account()

    rig.run()

    account = rig.accounts.by_partition[PARTITION_0]
    assert counts_of(account) == {
        "consumed": 5,
        "normal": 1,
        "anomalies": 1,
        "dead_letters": 1,
        "absorbed": 2,
        "rows": 2,
    }
    assert (account.adds_up, account.next_offset) == (True, 5)
    ((messages, _),) = rig.outbox.published_batches
    assert sorted(m.topic for m in messages if m.topic != "g.ledger") == [
        "anomalies",
        "sensors.dlq",
    ]
    assert rig.metric("records_absorbed_total", reason="filtered") == 2
    assert rig.metric("records_absorbed_total", reason="joined") == 0
    assert rig.metric("records_consumed_total", topic="sensors") == 5
    assert rig.metric("rows_scored_total") == 2


def test_heartbeats_cannot_hide_that_every_row_is_rejected() -> None:
    """The breaker compares rejections with judged records, not with all records."""
    steps = batch_steps(*[HEARTBEAT] * 90, *[b"{"] * 10)
    rig = LoopRig(*steps, *[[]] * 400).with_opened_account()

    with pytest.raises(BreakerOpen, match="10 of the last 10"):
        rig.run()


@pytest.mark.parametrize("seed", range(8))
def test_crashes_and_rebalances_change_no_account_with_absorbed_records(seed: int) -> None:
    """Restores replay absorbed records too, and compare their count and the digest."""
    for account in consume_twice(partition_records, Random(seed)):
        assert account.absorbed == ROWS_PER_PARTITION


def a_ledger_group() -> LedgerGroup:
    group = LedgerGroup({a_detector().version: a_detector()})
    group.consume(partition_records()[:30])
    group.write_snapshot()
    group.consume(partition_records()[30:])
    group.write_snapshot()
    return group


def test_the_ledger_of_absorbed_records_is_proven() -> None:
    group = a_ledger_group()

    assert [finding.verdict for finding in group.verify()] == [Verdict.PROVEN] * 2
    assert group.account.absorbed == ROWS_PER_PARTITION
    assert memory_to_bytes(group.memory) == list(group.snapshots.values())[-1].content


def test_a_wrong_number_of_absorbed_records_is_found() -> None:
    group = a_ledger_group()
    *_, last_record = group.ledger
    assert last_record.cause is Cause.INTERVAL
    wrong_account = replace(last_record.account, absorbed=last_record.account.absorbed - 1)
    group.ledger[-1] = type(last_record)(
        last_record.ledger_version,
        last_record.group,
        last_record.topic,
        last_record.partition,
        last_record.cause,
        wrong_account,
    )

    verdicts = [(finding.verdict, finding.detail) for finding in group.verify()]

    assert verdicts[1][0] is Verdict.DIFFERENT
    assert "absorbed 39 in the ledger, 40 recomputed" in verdicts[1][1]


def test_a_heartbeat_that_was_scored_before_changes_the_digest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If the rule for absorbed records changes, the old account is not repeated."""
    group = a_ledger_group()
    monkeypatch.undo()

    details = [finding.detail for finding in group.verify()]

    assert "absorbed 15 in the ledger, 0 recomputed" in details[0]
    assert "digest" in details[0]
