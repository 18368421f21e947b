"""A settlement of a micro-batch has the new accounts and ledger entries.

Its rejections can trip the breaker.
"""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.kafka.ledger_text import Cause, from_metadata, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import DIGEST_SEED, Account, open_account
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.runtime.setting_keys import BreakerSettings
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.consumer.breaker import breaker_reason
from sensorwatch.consumer.settlement import Settlement, settle_account_changes, settle_batch
from tests.consumer.micro_batches import micro_batch_of
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

PARTITION_0, PARTITION_1 = Partition("sensors", 0), Partition("sensors", 1)
MODEL_VERSION = a_detector().version


def an_account(offset: int = 0, *, model: str = MODEL_VERSION, fingerprint: str = "f") -> Account:
    return open_account(offset, model_version=model, fingerprint=fingerprint, window_rows=100)


def some_records(count: int = 20) -> list[StoredRecord]:
    """Return records of two partitions with normal, anomalous and invalid rows in turn."""
    values = [a_payload(), a_payload(ANOMALOUS_VALUES), b"{"]
    return [StoredRecord(values[number % 3], number // 2, number % 2) for number in range(count)]


def settle_records(
    accounts: dict[Partition, Account],
    records: list[StoredRecord],
    *,
    accepted_offsets: dict[Partition, int] | None = None,
    snapshot_due: Callable[[Partition, Account], bool] = lambda *_: False,
) -> Settlement:
    detector = a_detector()
    outcomes = [
        (
            partition_batch,
            process(
                partition_batch.payloads,
                detector,
                detector.empty_memory(),
                positions=partition_batch.offsets,
            ),
        )
        for partition_batch in micro_batch_of(records, "sensors").partition_batches
    ]
    return settle_batch(
        accounts,
        outcomes,
        model_version=MODEL_VERSION,
        accept_rejections_until=accepted_offsets or {},
        snapshot_due=snapshot_due,
    )


def entry_summaries(settlement: Settlement) -> list[tuple[Partition, Cause, int]]:
    return [
        (entry.partition, entry.cause, entry.account.next_offset)
        for entry in settlement.ledger_entries
    ]


def test_each_account_counts_the_records_of_its_partition() -> None:
    settlement = settle_records(
        {PARTITION_0: an_account(), PARTITION_1: an_account()}, some_records(20)
    )

    assert {p: account.consumed for p, account in settlement.accounts.items()} == {
        PARTITION_0: 10,
        PARTITION_1: 10,
    }
    assert all(account.adds_up for account in settlement.accounts.values())
    assert entry_summaries(settlement) == []


def test_partitions_without_records_are_not_committed() -> None:
    records = [record for record in some_records() if record.partition() == 0]

    assert list(
        settle_records({PARTITION_0: an_account(), PARTITION_1: an_account()}, records).accounts
    ) == [PARTITION_0]


def test_a_snapshot_that_is_due_gets_a_ledger_entry_with_its_account() -> None:
    records = [record for record in some_records() if record.partition() == 0]
    snapshot_due_calls: list[tuple[Partition, int]] = []

    def snapshot_due(partition: Partition, account: Account) -> bool:
        snapshot_due_calls.append((partition, account.next_offset))
        return True

    settlement = settle_records(
        {PARTITION_0: an_account(), PARTITION_1: an_account(4)}, records, snapshot_due=snapshot_due
    )

    assert snapshot_due_calls == [(PARTITION_0, 10), (PARTITION_1, 4)], (
        "an idle partition can get a snapshot too"
    )
    assert entry_summaries(settlement) == [
        (PARTITION_0, Cause.INTERVAL, 10),
        (PARTITION_1, Cause.INTERVAL, 4),
    ]
    assert settlement.accounts[PARTITION_1] == an_account(4)


@settings(max_examples=40, deadline=None)
@given(batch_ends=st.lists(st.integers(0, 60), max_size=6).map(sorted))
def test_accounts_do_not_depend_on_the_boundaries_of_micro_batches(batch_ends: list[int]) -> None:
    records = some_records(60)
    single_settlement = settle_records(
        {PARTITION_0: an_account(), PARTITION_1: an_account()}, records
    )
    accounts = {PARTITION_0: an_account(), PARTITION_1: an_account()}

    for start, end in zip([0, *batch_ends], [*batch_ends, 60], strict=True):
        accounts |= settle_records(accounts, records[start:end]).accounts

    assert accounts == single_settlement.accounts


def account_changes(
    accounts: dict[Partition, Account], *unopened_partitions: Partition
) -> Settlement:
    return settle_account_changes(
        accounts,
        frozenset(unopened_partitions),
        "f",
        model_version=MODEL_VERSION,
        max_sensors=MAX_SENSORS,
    )


def test_an_account_is_opened_before_its_first_record() -> None:
    """If no account were committed first, a restart with `start = "latest"` would skip records."""
    settlement = account_changes(
        {PARTITION_0: an_account(7, model=""), PARTITION_1: an_account()}, PARTITION_0
    )

    assert entry_summaries(settlement) == [(PARTITION_0, Cause.OPENED, 7)]
    assert settlement.accounts == {PARTITION_0: an_account(7)}
    assert settlement.ledger_entries[0].account == an_account(7)


def test_unchanged_accounts_are_not_committed() -> None:
    settlement = account_changes({PARTITION_0: an_account(), PARTITION_1: an_account()})

    assert settlement == Settlement({})


def test_another_model_version_gets_a_ledger_entry_at_its_first_offset() -> None:
    old_account = an_account(5, model="default-0000-00000000")

    settlement = account_changes({PARTITION_0: old_account, PARTITION_1: an_account()})

    assert entry_summaries(settlement) == [(PARTITION_0, Cause.MODEL, 5)]
    assert settlement.ledger_entries[0].account == old_account, (
        "the entry has the account of the old version"
    )
    assert settlement.accounts == {PARTITION_0: an_account(5)}


def test_another_max_sensors_gets_a_ledger_entry_at_its_first_offset() -> None:
    old_account = replace(an_account(5), max_sensors=2)

    settlement = account_changes({PARTITION_0: old_account, PARTITION_1: an_account()})

    assert entry_summaries(settlement) == [(PARTITION_0, Cause.INTERVAL, 5)]
    assert settlement.ledger_entries[0].account == old_account, (
        "the entry has the account before the change"
    )
    assert settlement.accounts == {PARTITION_0: an_account(5)}


def test_another_silence_rule_gets_a_ledger_entry_at_its_first_offset() -> None:
    old_account = replace(an_account(5), silence_rule=SilenceRule(check_seconds=60))

    settlement = account_changes({PARTITION_0: old_account, PARTITION_1: an_account()})

    assert entry_summaries(settlement) == [(PARTITION_0, Cause.INTERVAL, 5)]
    assert settlement.ledger_entries[0].account == old_account
    assert settlement.accounts == {PARTITION_0: an_account(5)}


def test_another_fingerprint_starts_a_segment_and_keeps_the_counts() -> None:
    old_account = replace(an_account(fingerprint="old"), consumed=9, normal=9, digest=17)

    settlement = account_changes({PARTITION_0: old_account, PARTITION_1: an_account()})

    assert entry_summaries(settlement) == [(PARTITION_0, Cause.SEGMENT, 0)]
    assert settlement.ledger_entries[0].account.digest == 17
    new_account = settlement.accounts[PARTITION_0]
    assert (new_account.segment, new_account.segment_offset, new_account.consumed) == (1, 0, 9)
    assert (new_account.digest, new_account.fingerprint) == (DIGEST_SEED, "f")


def test_another_model_version_and_another_fingerprint_get_two_ledger_entries() -> None:
    old_account = an_account(model="default-0000-00000000", fingerprint="old")

    settlement = account_changes({PARTITION_0: old_account})

    assert entry_summaries(settlement) == [
        (PARTITION_0, Cause.MODEL, 0),
        (PARTITION_0, Cause.SEGMENT, 0),
    ]
    assert settlement.accounts[PARTITION_0].model_version == MODEL_VERSION
    assert settlement.accounts[PARTITION_0].segment == 1


def breaker_reason_of(
    settlement: Settlement, *, old_account: Account | None = None, min_rows: int = 10
) -> str | None:
    settings = BreakerSettings(min_rows=min_rows, max_rejected_ratio=0.5, window_rows=100)
    return breaker_reason(
        settlement, {PARTITION_0: an_account() if old_account is None else old_account}, settings
    )


def settle_rejections(
    valid_count: int,
    invalid_count: int,
    *,
    accept_until: int = 0,
    old_account: Account | None = None,
) -> Settlement:
    """Return the settlement of a micro-batch of valid records followed by invalid records."""
    old_account = an_account() if old_account is None else old_account
    values = [a_payload()] * valid_count + [b"{"] * invalid_count
    records = [
        StoredRecord(payload, offset)
        for offset, payload in enumerate(values, old_account.next_offset)
    ]
    return settle_records(
        {PARTITION_0: old_account}, records, accepted_offsets={PARTITION_0: accept_until}
    )


def test_the_breaker_trips_only_above_the_ratio() -> None:
    assert breaker_reason_of(settle_rejections(10, 10)) is None

    reason = breaker_reason_of(settle_rejections(10, 11))

    assert reason is not None
    assert "11 of the last 21 records of sensors-0" in reason
    assert "--accept-rejections-until 0:21" in reason
    assert "more rejections may follow" in reason


def test_the_breaker_needs_its_minimum_of_rows() -> None:
    assert breaker_reason_of(settle_rejections(0, 9)) is None
    assert breaker_reason_of(settle_rejections(0, 10)) is not None


def test_valid_records_at_the_end_of_a_micro_batch_do_not_hide_rejections() -> None:
    """In small micro-batches these rejections trip the breaker, so they must do so here, too."""
    values = [b"{"] * 200 + [a_payload()] * 200
    records = [StoredRecord(payload, offset) for offset, payload in enumerate(values)]

    settlement = settle_records({PARTITION_0: an_account()}, records)

    assert settlement.accounts[PARTITION_0].window == (100, 0)
    assert breaker_reason_of(settlement) is not None


def test_the_window_of_the_breaker_is_part_of_the_metadata() -> None:
    settlement = settle_rejections(5, 9)

    loaded_account = from_metadata(to_metadata(settlement.accounts[PARTITION_0]), 14)

    assert loaded_account is not None
    assert loaded_account.window == settlement.accounts[PARTITION_0].window == (14, 9)
    assert (
        breaker_reason_of(
            settle_rejections(0, 1, old_account=loaded_account), old_account=loaded_account
        )
        is not None
    )


def test_only_rejections_above_the_accepted_offset_trip_the_breaker() -> None:
    assert breaker_reason_of(settle_rejections(0, 40, accept_until=40)) is None
    assert settle_rejections(0, 40, accept_until=40).accounts[PARTITION_0].dead_letters == 40
    assert breaker_reason_of(settle_rejections(0, 90, accept_until=40)) is not None


def test_a_micro_batch_without_rejections_does_not_trip_the_breaker() -> None:
    """The ratio of rejections may rise without a rejection: old valid records leave the window."""
    old_account = replace(an_account(), consumed=100, normal=50, dead_letters=50)
    old_account = replace(old_account, window_rejected=(0, 0, 0, 0, 0, 10, 10, 10, 10, 10))
    valid_settlement = settle_rejections(1, 0, old_account=old_account)
    assert valid_settlement.accounts[PARTITION_0].window == (91, 50)

    assert breaker_reason_of(valid_settlement, old_account=old_account) is None
    assert (
        breaker_reason_of(settle_rejections(1, 1, old_account=old_account), old_account=old_account)
        is not None
    ), "a new rejection trips the breaker"


def test_accepted_rejections_do_not_trip_the_breaker_with_any_window() -> None:
    old_account = settle_rejections(5, 35).accounts[PARTITION_0]

    for accept_until, is_accepted in ((50, True), (49, False)):
        settlement = settle_rejections(0, 10, accept_until=accept_until, old_account=old_account)
        assert (breaker_reason_of(settlement, old_account=old_account) is None) is is_accepted


def test_the_breaker_does_not_trip_without_records() -> None:
    assert breaker_reason_of(settle_rejections(0, 0)) is None
