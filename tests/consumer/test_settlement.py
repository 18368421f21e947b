"""What a micro-batch commits: accounts moved on, and ledger records where something begins."""

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
    """Normal, anomalous and bad rows, the partitions in turns."""
    values = [a_payload(), a_payload(ANOMALOUS), b"{"]
    return [StoredRecord(values[number % 3], number // 2, number % 2) for number in range(count)]


def settled(
    held: dict[Partition, Account],
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
        held,
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


def test_each_partition_is_accounted_for_by_its_own_records() -> None:
    settlement = settled({ONE: an_account(), TWO: an_account()}, some_records(20))

    assert {where: account.consumed for where, account in settlement.accounts.items()} == {
        ONE: 10,
        TWO: 10,
    }
    assert all(account.adds_up for account in settlement.accounts.values())
    assert entry_summaries(settlement) == []


def test_partitions_without_records_are_not_committed_again() -> None:
    records = [record for record in some_records() if record.partition() == 0]

    assert list(settled({ONE: an_account(), TWO: an_account()}, records).accounts) == [ONE]


def test_a_snapshot_that_is_due_is_noted_at_the_account_it_stands_at() -> None:
    records = [record for record in some_records() if record.partition() == 0]
    asked: list[tuple[Partition, int]] = []

    def snapshot_due(partition: Partition, account: Account) -> bool:
        asked.append((partition, account.next_offset))
        return True

    settlement = settled(
        {ONE: an_account(), TWO: an_account(4)}, records, snapshot_due=snapshot_due
    )

    assert asked == [(ONE, 10), (TWO, 4)], "an idle partition too"
    assert entry_summaries(settlement) == [(ONE, Cause.INTERVAL, 10), (TWO, Cause.INTERVAL, 4)]
    assert settlement.accounts[TWO] == an_account(4)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted))
def test_the_accounts_do_not_depend_on_the_cut(cuts: list[int]) -> None:
    records = some_records(60)
    whole = settled({ONE: an_account(), TWO: an_account()}, records)
    held = {ONE: an_account(), TWO: an_account()}

    for start, end in zip([0, *cuts], [*cuts, 60], strict=True):
        held |= settled(held, records[start:end]).accounts

    assert held == whole.accounts


def account_changes(held: dict[Partition, Account], *unopened: Partition) -> Settlement:
    return settle_account_changes(
        held, frozenset(unopened), "f", model_version=MODEL, max_sensors=MAX_SENSORS
    )


def test_a_partition_that_is_opened_says_so_before_its_first_record() -> None:
    """An idle one too: else a start at the latest offset would skip what comes before."""
    settlement = account_changes({ONE: an_account(7, model=""), TWO: an_account()}, ONE)

    assert entry_summaries(settlement) == [(ONE, Cause.OPENED, 7)]
    assert settlement.accounts == {ONE: an_account(7)}
    assert settlement.ledger_entries[0].account == an_account(7)


def test_nothing_is_renewed_where_nothing_changes() -> None:
    settlement = account_changes({ONE: an_account(), TWO: an_account()})

    assert settlement == Settlement({})


def test_another_model_is_told_at_the_offset_from_which_it_scores() -> None:
    old = an_account(5, model="default-0000-00000000")

    settlement = account_changes({ONE: old, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.MODEL, 5)]
    assert settlement.ledger_entries[0].account == old, "what the version before is proven by"
    assert settlement.accounts == {ONE: an_account(5)}


def test_another_bound_is_told_at_the_offset_from_which_it_is_kept() -> None:
    old = replace(an_account(5), max_sensors=2)

    settlement = account_changes({ONE: old, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.INTERVAL, 5)]
    assert settlement.ledger_entries[0].account == old, "what went before is proven by"
    assert settlement.accounts == {ONE: an_account(5)}


def test_another_fingerprint_begins_a_segment_and_keeps_the_counts() -> None:
    before = replace(an_account(fingerprint="old"), consumed=9, normal=9, digest=17)

    settlement = account_changes({ONE: before, TWO: an_account()})

    assert entry_summaries(settlement) == [(ONE, Cause.SEGMENT, 0)]
    assert settlement.ledger_entries[0].account.digest == 17
    after = settlement.accounts[ONE]
    assert (after.segment, after.segment_offset, after.consumed) == (1, 0, 9)
    assert (after.digest, after.fingerprint) == (DIGEST_SEED, "f")


def test_another_model_and_another_fingerprint_are_both_told() -> None:
    before = an_account(model="default-0000-00000000", fingerprint="old")

    settlement = account_changes({ONE: before})

    assert entry_summaries(settlement) == [(ONE, Cause.MODEL, 0), (ONE, Cause.SEGMENT, 0)]
    assert settlement.accounts[ONE].model_version == MODEL
    assert settlement.accounts[ONE].segment == 1


def breaker_reason_of(
    settlement: Settlement, *, held: Account | None = None, min_rows: int = 10
) -> str | None:
    settings = BreakerSettings(min_rows=min_rows, max_rejected_ratio=0.5, window_rows=100)
    return breaker_reason(settlement, {ONE: an_account() if held is None else held}, settings)


def with_rejections(
    good: int, bad: int, *, accept_until: int = 0, held: Account | None = None
) -> Settlement:
    """First the good rows, then the bad ones."""
    before = an_account() if held is None else held
    values = [a_payload()] * good + [b"{"] * bad
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


def test_good_records_at_the_end_of_a_micro_batch_hide_no_rejections() -> None:
    """Cut into smaller micro-batches the rejections alone would have tripped the breaker."""
    values = [b"{"] * 200 + [a_payload()] * 200
    records = [StoredRecord(value, offset) for offset, value in enumerate(values)]

    settlement = settled({ONE: an_account()}, records)

    assert settlement.accounts[ONE].window == (100, 0)
    assert breaker_reason_of(settlement) is not None


def test_the_breakers_window_survives_the_metadata() -> None:
    settlement = with_rejections(5, 9)

    again = from_metadata(to_metadata(settlement.accounts[ONE]), 14)

    assert again is not None
    assert again.window == settlement.accounts[ONE].window == (14, 9)
    assert breaker_reason_of(with_rejections(0, 1, held=again), held=again) is not None


def test_an_accepted_stretch_passes_and_what_follows_does_not() -> None:
    assert breaker_reason_of(with_rejections(0, 40, accept_until=40)) is None
    assert with_rejections(0, 40, accept_until=40).accounts[ONE].dead_letters == 40
    assert breaker_reason_of(with_rejections(0, 90, accept_until=40)) is not None


def test_records_without_rejections_pass_whatever_the_window_holds() -> None:
    """Sliding over good records may raise the ratio; that is no reason to hold good ones back."""
    held = replace(an_account(), consumed=100, normal=50, dead_letters=50)
    held = replace(held, window_rejected=(0, 0, 0, 0, 0, 10, 10, 10, 10, 10))
    after = with_rejections(1, 0, held=held)
    assert after.accounts[ONE].window == (91, 50)

    assert breaker_reason_of(after, held=held) is None
    assert breaker_reason_of(with_rejections(1, 1, held=held), held=held) is not None, (
        "a rejection of its own"
    )


def test_only_accepted_records_pass_whatever_the_window_holds() -> None:
    held = with_rejections(5, 35).accounts[ONE]

    for until, passes in ((50, True), (49, False)):
        settlement = with_rejections(0, 10, accept_until=until, held=held)
        assert (breaker_reason_of(settlement, held=held) is None) is passes


def test_no_rows_do_not_trip() -> None:
    assert breaker_reason_of(with_rejections(0, 0)) is None
