"""New accounts and ledger entries of a micro-batch, and the breaker."""

from collections.abc import Callable
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.kafka.ledger_text import Cause, from_metadata, to_metadata
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import DIGEST_SEED, Account, open_account
from sensorwatch.common.runtime.setting_keys import BreakerSettings
from sensorwatch.common.scoring.memory import MAX_SENSORS
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.breaker import breaker_reason
from sensorwatch.consumer.settlement import Settlement, settle_account_changes, settle_batch
from tests.consumer.micro_batches import micro_batch_of
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS, a_detector

ONE, TWO = Partition("sensors", 0), Partition("sensors", 1)
MODEL = a_detector().version


def an_account(offset: int = 0, *, model: str = MODEL, fingerprint: str = "f") -> Account:
    return open_account(offset, model_version=model, fingerprint=fingerprint, window_rows=100)


def some_records(count: int = 20) -> list[StoredRecord]:
    """Return normal, anomalous and invalid rows of two partitions in turn."""
    values = [a_payload(), a_payload(ANOMALOUS), b"{"]
    return [StoredRecord(values[number % 3], number // 2, number % 2) for number in range(count)]


def settled(
    accounts: dict[Partition, Account],
    records: list[StoredRecord],
    *,
    accept: dict[Partition, int] | None = None,
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
        model_version=MODEL,
        accept_rejections_until=accept or {},
        snapshot_due=snapshot_due,
    )


def entry_summaries(settlement: Settlement) -> list[tuple[Partition, Cause, int]]:
    return [
        (entry.partition, entry.cause, entry.account.next_offset)
        for entry in settlement.ledger_entries
    ]


def test_each_account_counts_the_records_of_its_partition() -> None:
    settlement = settled({ONE: an_account(), TWO: an_account()}, some_records(20))

    assert {p: account.consumed for p, account in settlement.accounts.items()} == {
        ONE: 10,
        TWO: 10,
    }
    assert all(account.adds_up for account in settlement.accounts.values())
    assert entry_summaries(settlement) == []


def test_partitions_without_records_are_not_committed() -> None:
    records = [record for record in some_records() if record.partition() == 0]

    assert list(settled({ONE: an_account(), TWO: an_account()}, records).accounts) == [ONE]


def test_a_snapshot_that_is_due_gets_a_ledger_entry_with_its_account() -> None:
    records = [record for record in some_records() if record.partition() == 0]
    asked: list[tuple[Partition, int]] = []

    def snapshot_due(partition: Partition, account: Account) -> bool:
        asked.append((partition, account.next_offset))
        return True

    settlement = settled(
        {ONE: an_account(), TWO: an_account(4)}, records, snapshot_due=snapshot_due
    )

    assert asked == [(ONE, 10), (TWO, 4)], "also for an idle partition"
    assert entry_summaries(settlement) == [(ONE, Cause.INTERVAL, 10), (TWO, Cause.INTERVAL, 4)]
    assert settlement.accounts[TWO] == an_account(4)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted))
def test_accounts_do_not_depend_on_the_boundaries_of_micro_batches(cuts: list[int]) -> None:
    records = some_records(60)
    at_once = settled({ONE: an_account(), TWO: an_account()}, records)
    accounts = {ONE: an_account(), TWO: an_account()}

    for start, end in zip([0, *cuts], [*cuts, 60], strict=True):
        accounts |= settled(accounts, records[start:end]).accounts

    assert accounts == at_once.accounts


def account_changes(accounts: dict[Partition, Account], *unopened: Partition) -> Settlement:
    return settle_account_changes(
        accounts, frozenset(unopened), "f", model_version=MODEL, max_sensors=MAX_SENSORS
    )


def test_an_account_is_opened_before_its_first_record() -> None:
    """Otherwise a restart with `start = "latest"` would skip records."""
    settlement = account_changes({ONE: an_account(7, model=""), TWO: an_account()}, ONE)

    assert entry_summaries(settlement) == [(ONE, Cause.OPENED, 7)]
    assert settlement.accounts == {ONE: an_account(7)}
    assert settlement.ledger_entries[0].account == an_account(7)


def test_unchanged_accounts_are_not_committed() -> None:
    settlement = account_changes({ONE: an_account(), TWO: an_account()})

    assert settlement == Settlement({})


def test_another_model_version_gets_a_ledger_entry_at_its_first_offset() -> None:
    old = an_account(5, model="default-0000-00000000")

    settlement = account_changes({ONE: old, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.MODEL, 5)]
    assert settlement.ledger_entries[0].account == old, "the account of the old version"
    assert settlement.accounts == {ONE: an_account(5)}


def test_another_max_sensors_gets_a_ledger_entry_at_its_first_offset() -> None:
    old = replace(an_account(5), max_sensors=2)

    settlement = account_changes({ONE: old, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.INTERVAL, 5)]
    assert settlement.ledger_entries[0].account == old, "the account before the change"
    assert settlement.accounts == {ONE: an_account(5)}


def test_another_fingerprint_starts_a_segment_and_keeps_the_counts() -> None:
    before = replace(an_account(fingerprint="old"), consumed=9, normal=9, digest=17)

    settlement = account_changes({ONE: before, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.SEGMENT, 0)]
    assert settlement.ledger_entries[0].account.digest == 17
    after = settlement.accounts[ONE]
    assert (after.segment, after.segment_offset, after.consumed) == (1, 0, 9)
    assert (after.digest, after.fingerprint) == (DIGEST_SEED, "f")


def test_another_model_version_and_another_fingerprint_get_two_ledger_entries() -> None:
    before = an_account(model="default-0000-00000000", fingerprint="old")

    settlement = account_changes({ONE: before})

    assert entry_summaries(settlement) == [(ONE, Cause.MODEL, 0), (ONE, Cause.SEGMENT, 0)]
    assert settlement.accounts[ONE].model_version == MODEL
    assert settlement.accounts[ONE].segment == 1


def breaker_reason_of(
    settlement: Settlement, *, before: Account | None = None, min_rows: int = 10
) -> str | None:
    settings = BreakerSettings(min_rows=min_rows, max_rejected_ratio=0.5, window_rows=100)
    return breaker_reason(settlement, {ONE: an_account() if before is None else before}, settings)


def with_rejections(
    valid: int, invalid: int, *, accept_until: int = 0, before: Account | None = None
) -> Settlement:
    """Return a settlement of valid and then invalid rows."""
    before = an_account() if before is None else before
    values = [a_payload()] * valid + [b"{"] * invalid
    records = [
        StoredRecord(value, offset) for offset, value in enumerate(values, before.next_offset)
    ]
    return settled({ONE: before}, records, accept={ONE: accept_until})


def test_the_breaker_trips_above_the_ratio_and_not_at_it() -> None:
    assert breaker_reason_of(with_rejections(10, 10)) is None

    why = breaker_reason_of(with_rejections(10, 11))

    assert why is not None
    assert "11 of the last 21 records of sensors-0" in why
    assert "--accept-rejections-until 0:21" in why
    assert "more of them may follow" in why


def test_the_breaker_needs_its_minimum_of_rows() -> None:
    assert breaker_reason_of(with_rejections(0, 9)) is None
    assert breaker_reason_of(with_rejections(0, 10)) is not None


def test_valid_records_at_the_end_of_a_micro_batch_hide_no_rejections() -> None:
    """In smaller micro-batches the same rejections trip the breaker."""
    values = [b"{"] * 200 + [a_payload()] * 200
    records = [StoredRecord(value, offset) for offset, value in enumerate(values)]

    settlement = settled({ONE: an_account()}, records)

    assert settlement.accounts[ONE].window == (100, 0)
    assert breaker_reason_of(settlement) is not None


def test_the_window_of_the_breaker_is_part_of_the_metadata() -> None:
    settlement = with_rejections(5, 9)

    loaded = from_metadata(to_metadata(settlement.accounts[ONE]), 14)

    assert loaded is not None
    assert loaded.window == settlement.accounts[ONE].window == (14, 9)
    assert breaker_reason_of(with_rejections(0, 1, before=loaded), before=loaded) is not None


def test_accepted_rejections_pass_and_later_ones_do_not() -> None:
    assert breaker_reason_of(with_rejections(0, 40, accept_until=40)) is None
    assert with_rejections(0, 40, accept_until=40).accounts[ONE].dead_letters == 40
    assert breaker_reason_of(with_rejections(0, 90, accept_until=40)) is not None


def test_records_without_rejections_pass_with_any_window() -> None:
    """Old valid records drop out of the window, which may raise the ratio."""
    before = replace(an_account(), consumed=100, normal=50, dead_letters=50)
    before = replace(before, window_rejected=(0, 0, 0, 0, 0, 10, 10, 10, 10, 10))
    after = with_rejections(1, 0, before=before)
    assert after.accounts[ONE].window == (91, 50)

    assert breaker_reason_of(after, before=before) is None
    assert breaker_reason_of(with_rejections(1, 1, before=before), before=before) is not None, (
        "a new rejection"
    )


def test_accepted_rejections_pass_with_any_window() -> None:
    before = with_rejections(5, 35).accounts[ONE]

    for until, passes in ((50, True), (49, False)):
        settlement = with_rejections(0, 10, accept_until=until, before=before)
        assert (breaker_reason_of(settlement, before=before) is None) is passes


def test_the_breaker_does_not_trip_without_records() -> None:
    assert breaker_reason_of(with_rejections(0, 0)) is None
