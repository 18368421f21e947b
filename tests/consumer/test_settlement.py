"""What a micro-batch commits: accounts moved on, and ledger records where something begins."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from common.detection.ledger import DIGEST_SEED, Account, open_account
from common.detection.memory import COLD
from common.detection.processing import process
from common.messaging.ledger_text import Cause, from_metadata, ledger_record
from common.messaging.records import Partition
from common.runtime.keys import BreakerSettings
from consumer.breaker import tripped
from consumer.settlement import LedgerTerms, Settlement, settle
from tests.builders import ANOMALOUS, a_detector
from tests.messaging.records import StoredRecord, a_payload

ONE, TWO = Partition("sensors", 0), Partition("sensors", 1)
MODEL = a_detector().version
TERMS = LedgerTerms(
    group="g", topic="g.ledger", every_rows=1_000, fingerprint="f", accept_rejections_until={}
)


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
    unopened: frozenset[Partition] = frozenset(),
    terms: LedgerTerms = TERMS,
) -> Settlement:
    outcome, _ = process([record.value() for record in records], a_detector(), COLD)
    return settle(held, unopened, records, outcome, MODEL, terms)


def causes(settlement: Settlement) -> list[tuple[Partition, Cause, int]]:
    records = [ledger_record(message.value) for message in settlement.messages]
    return [(record.source, record.cause, record.account.next_offset) for record in records]


def test_each_partition_is_accounted_for_by_its_own_records() -> None:
    settlement = settled({ONE: an_account(), TWO: an_account()}, some_records(20))

    assert {where: account.consumed for where, account in settlement.accounts.items()} == {
        ONE: 10,
        TWO: 10,
    }
    assert all(account.adds_up for account in settlement.accounts.values())
    assert causes(settlement) == []


def test_each_commit_carries_its_account() -> None:
    settlement = settled({ONE: an_account(), TWO: an_account()}, some_records())

    for commit in settlement.commits:
        assert commit.next_offset == 10
        account = from_metadata(commit.metadata, commit.next_offset)
        assert account == settlement.accounts[commit.partition]


def test_a_partition_that_is_opened_says_so_before_its_first_record() -> None:
    held = {ONE: an_account(0, model=""), TWO: an_account()}

    settlement = settled(held, some_records(), unopened=frozenset({ONE}))

    assert causes(settlement) == [(ONE, Cause.OPENED, 0)]
    record = ledger_record(settlement.messages[0].value)
    assert record.account.model_version == MODEL


def test_an_idle_partition_is_opened_without_a_record() -> None:
    """Else a start at the latest offset would skip what comes before its first record."""
    settlement = settled({ONE: an_account(7, model="")}, [], unopened=frozenset({ONE}))

    assert causes(settlement) == [(ONE, Cause.OPENED, 7)]
    assert [commit.next_offset for commit in settlement.commits] == [7]


def test_partitions_without_records_are_not_committed_again() -> None:
    records = [record for record in some_records() if record.partition() == 0]

    assert list(settled({ONE: an_account(), TWO: an_account()}, records).accounts) == [ONE]


def test_another_model_is_told_at_the_offset_from_which_it_scores() -> None:
    held = {ONE: an_account(model="default-0000-00000000"), TWO: an_account()}

    settlement = settled(held, some_records())

    assert causes(settlement) == [(ONE, Cause.MODEL, 0)]
    told = ledger_record(settlement.messages[0].value).account
    assert told.model_version == "default-0000-00000000"
    assert settlement.accounts[ONE].model_version == MODEL
    assert settlement.accounts[ONE].segment == 0


def test_another_fingerprint_begins_a_segment_and_keeps_the_counts() -> None:
    before = replace(an_account(fingerprint="old"), consumed=9, normal=9, digest=17)

    settlement = settled({ONE: before, TWO: an_account()}, some_records())

    assert causes(settlement) == [(ONE, Cause.SEGMENT, 0)]
    assert ledger_record(settlement.messages[0].value).account.digest == 17
    after = settlement.accounts[ONE]
    fresh = settled({ONE: an_account(), TWO: an_account()}, some_records()).accounts[ONE]
    assert (after.segment, after.segment_offset, after.consumed) == (1, 0, 19)
    assert after.digest == fresh.digest != DIGEST_SEED


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=6).map(sorted), every=st.integers(1, 40))
def test_the_accounts_do_not_depend_on_the_cut(cuts: list[int], every: int) -> None:
    """Nor how often at least a record is written: once for each stretch of `every` rows passed."""
    records = some_records(60)
    terms = replace(TERMS, every_rows=every)
    whole = settled({ONE: an_account(), TWO: an_account()}, records, terms=terms)
    held = {ONE: an_account(), TWO: an_account()}
    told = 0

    for start, end in zip([0, *cuts], [*cuts, 60], strict=True):
        settlement = settled(held, records[start:end], terms=terms)
        held |= settlement.accounts
        told += len(settlement.messages)

    assert held == whole.accounts
    assert told >= len(whole.messages)
    assert (told > 0) == (every <= 30)


def trip(settlement: Settlement, *, held: Account | None = None, min_rows: int = 10) -> str | None:
    settings = BreakerSettings(min_rows=min_rows, max_rejected_ratio=0.5, window_rows=100)
    return tripped(settlement, {ONE: an_account() if held is None else held}, settings)


def with_rejections(
    good: int, bad: int, terms: LedgerTerms = TERMS, *, held: Account | None = None
) -> Settlement:
    """First the good rows, then the bad ones."""
    before = an_account() if held is None else held
    values = [a_payload()] * good + [b"{"] * bad
    records = [
        StoredRecord(value, offset) for offset, value in enumerate(values, before.next_offset)
    ]
    return settled({ONE: before}, records, terms=terms)


def test_the_breaker_trips_above_the_ratio_and_not_at_it() -> None:
    assert trip(with_rejections(10, 10)) is None

    why = trip(with_rejections(10, 11))

    assert why is not None
    assert "11 of the last 21 records of sensors-0" in why
    assert "--accept-rejections-until 0:21" in why
    assert "more of them may follow" in why


def test_the_breaker_needs_its_minimum_of_rows() -> None:
    assert trip(with_rejections(0, 9)) is None
    assert trip(with_rejections(0, 10)) is not None


def test_good_records_at_the_end_of_a_micro_batch_hide_no_rejections() -> None:
    """Cut into smaller micro-batches the rejections alone would have tripped the breaker."""
    values = [b"{"] * 200 + [a_payload()] * 200
    records = [StoredRecord(value, offset) for offset, value in enumerate(values)]

    settlement = settled({ONE: an_account()}, records)

    assert settlement.accounts[ONE].window == (100, 0)
    assert trip(settlement) is not None


def test_the_breakers_window_survives_the_metadata() -> None:
    settlement = with_rejections(5, 9)
    (commit,) = settlement.commits

    again = from_metadata(commit.metadata, commit.next_offset)

    assert again is not None
    assert again.window == settlement.accounts[ONE].window == (14, 9)
    assert trip(with_rejections(0, 1, held=again), held=again) is not None


def test_an_accepted_stretch_passes_and_what_follows_does_not() -> None:
    terms = replace(TERMS, accept_rejections_until={ONE: 40})

    assert trip(with_rejections(0, 40, terms)) is None
    assert with_rejections(0, 40, terms).accounts[ONE].dead_letters == 40
    assert trip(with_rejections(0, 90, terms)) is not None


def test_records_without_rejections_pass_whatever_the_window_holds() -> None:
    """Sliding over good records may raise the ratio; that is no reason to hold good ones back."""
    held = replace(an_account(), consumed=100, normal=50, dead_letters=50)
    held = replace(held, window_rejected=(0, 0, 0, 0, 0, 10, 10, 10, 10, 10))
    after = with_rejections(1, 0, held=held)
    assert after.accounts[ONE].window == (91, 50)

    assert trip(after, held=held) is None
    assert trip(with_rejections(1, 1, held=held), held=held) is not None, "a rejection of its own"


def test_only_accepted_records_pass_whatever_the_window_holds() -> None:
    held = with_rejections(5, 35).accounts[ONE]

    for until, passes in ((50, True), (49, False)):
        terms = replace(TERMS, accept_rejections_until={ONE: until})
        assert (trip(with_rejections(0, 10, terms, held=held), held=held) is None) is passes


def test_no_rows_do_not_trip() -> None:
    assert trip(with_rejections(0, 0)) is None
