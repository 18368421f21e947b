"""An account that was written as offset metadata or as a ledger record can be read back.

Text that is not an account is not accepted.
"""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError, StateRefused
from sensorwatch.common.kafka.ledger_text import (
    MAX_METADATA_BYTES,
    Cause,
    account_to_plain,
    from_metadata,
    ledger_message,
    ledger_record,
    to_metadata,
)
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import WINDOW_BUCKETS, Account, SnapshotRef, open_account
from tests.nested_json import DEEPLY_NESTED_JSON

MAX_OFFSET = 2**63 - 1
LARGEST_ACCOUNT = Account(
    first_offset=MAX_OFFSET,
    next_offset=MAX_OFFSET,
    consumed=MAX_OFFSET,
    normal=MAX_OFFSET,
    anomalies=MAX_OFFSET,
    dead_letters=MAX_OFFSET,
    absorbed=MAX_OFFSET,
    rows=MAX_OFFSET,
    window_bucket_rows=10**9,
    window_rejected=(10**9,) * WINDOW_BUCKETS,
    model_version=f"{'m' * 100}-{10**9}-00000000",
    digest=2**64 - 1,
    segment=MAX_OFFSET,
    segment_offset=MAX_OFFSET,
    fingerprint="f" * 12,
    snapshot=SnapshotRef(MAX_OFFSET, MAX_OFFSET),
)
count_strategy = st.integers(0, MAX_OFFSET)
account_strategy = st.builds(
    Account,
    first_offset=count_strategy,
    next_offset=count_strategy,
    consumed=count_strategy,
    normal=count_strategy,
    anomalies=count_strategy,
    dead_letters=count_strategy,
    rows=count_strategy,
    window_bucket_rows=st.integers(1, 10**9),
    window_rejected=st.lists(st.integers(0, 10**9), min_size=1, max_size=10).map(tuple),
    model_version=st.text("abc-019", max_size=60),
    digest=st.integers(0, 2**64 - 1),
    segment=count_strategy,
    segment_offset=count_strategy,
    fingerprint=st.text("0123456789abcdef", max_size=12),
    snapshot=st.none() | st.builds(SnapshotRef, count_strategy, count_strategy),
)


@settings(max_examples=100, deadline=None)
@given(account_strategy)
def test_an_account_is_read_back_from_metadata(account: Account) -> None:
    assert from_metadata(to_metadata(account), account.next_offset) == account


def test_the_largest_account_fits_into_the_metadata() -> None:
    text = to_metadata(LARGEST_ACCOUNT)

    assert len(text.encode()) < MAX_METADATA_BYTES / 2
    assert from_metadata(text, MAX_OFFSET) == LARGEST_ACCOUNT


def test_an_account_without_the_field_snapshot_is_read() -> None:
    account = open_account(5, model_version="m", fingerprint="f")
    old_metadata = to_metadata(account).replace(',"snapshot":null', "")

    assert "snapshot" not in old_metadata
    assert from_metadata(old_metadata, 5) == account


def test_an_account_that_is_too_long_is_refused_and_not_truncated() -> None:
    with pytest.raises(ValueError, match="4095"):
        to_metadata(replace(LARGEST_ACCOUNT, fingerprint="f" * 4_000))


def test_an_account_with_another_next_offset_than_the_committed_one_is_ignored() -> None:
    """If kafka-consumer-groups resets an offset, the metadata of the old offset may remain."""
    account = open_account(5, model_version="m", fingerprint="f")

    assert from_metadata(to_metadata(account), 5) == account
    assert from_metadata(to_metadata(account), 4) is None


VALID_METADATA = to_metadata(open_account(5, model_version="m", fingerprint="f"))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "metadata of another program",
        "{}",
        "[]",
        "null",
        '{"ledger_version":2}',
        VALID_METADATA.replace('"ledger_version":2', '"ledger_version":0'),
        VALID_METADATA.replace('"next_offset":5', '"next_offset":"5"'),
        VALID_METADATA.replace('"window_bucket_rows":1000', '"window_bucket_rows":0'),
        VALID_METADATA.replace('"window_rejected":[0]', '"window_rejected":[]'),
        VALID_METADATA.replace('"digest":', '"digest":9'),
        VALID_METADATA.replace('"consumed":0', '"consumed":-1'),
        VALID_METADATA.replace('"absorbed":0', '"absorbed":1'),
        VALID_METADATA.replace('"rows":0', '"rows":-1'),
        VALID_METADATA.replace('"snapshot":null', '"snapshot":{"offset":1}'),
        VALID_METADATA.replace('"snapshot":null', '"snapshot":{"offset":-1,"next_offset":5}'),
        VALID_METADATA[:-1],
        DEEPLY_NESTED_JSON.decode(),
    ],
)
def test_metadata_of_another_program_or_damaged_metadata_is_ignored(text: str | None) -> None:
    assert text != VALID_METADATA
    assert from_metadata(text, 5) is None


@pytest.mark.parametrize(
    "text",
    [
        VALID_METADATA.replace('"ledger_version":2', '"ledger_version":3'),
        '{"ledger_version":7,"account":"of another shape"}',
    ],
)
def test_the_account_of_a_newer_version_is_refused_and_not_replaced(text: str) -> None:
    with pytest.raises(DataError, match="newer sensorwatch"):
        from_metadata(text, 5)


@pytest.mark.parametrize(
    "text",
    [
        VALID_METADATA.replace('"ledger_version":2', '"ledger_version":1'),
        '{"ledger_version":1,"account":"of another shape"}',
    ],
)
def test_the_account_of_an_older_version_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(StateRefused, match=r"an older sensorwatch.*state reset") as error:
        from_metadata(text, 5)

    assert error.value.exit_code == 8


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=80))
def test_any_text_can_be_parsed_without_an_error(text: str) -> None:
    assert from_metadata(text, 0) is None


def test_a_ledger_record_is_keyed_by_partition_and_is_read_back() -> None:
    account = replace(LARGEST_ACCOUNT, digest=17)

    message = ledger_message("g.ledger", "g", Partition("sensors", 3), account, Cause.MODEL)

    assert (message.topic, message.key) == ("g.ledger", b"sensors-3")
    record = ledger_record(message.value)
    assert (record.group, record.source, record.cause) == ("g", Partition("sensors", 3), "model")
    assert record.account == account


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"ledger_version":2}', DEEPLY_NESTED_JSON])
def test_a_value_that_is_not_a_ledger_record_is_refused(value: bytes | None) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        ledger_record(value)


def test_a_newer_ledger_record_is_refused() -> None:
    message = ledger_message("l", "g", Partition("sensors", 0), LARGEST_ACCOUNT, Cause.OPENED)
    assert message.value is not None

    with pytest.raises(DataError, match="newer"):
        ledger_record(message.value.replace(b'"ledger_version":2', b'"ledger_version":3'))


def test_an_older_ledger_record_is_read_and_marked_as_outdated() -> None:
    message = ledger_message("l", "g", Partition("sensors", 0), LARGEST_ACCOUNT, Cause.OPENED)
    assert message.value is not None
    old_value = message.value.replace(b'"ledger_version":2', b'"ledger_version":1')

    assert ledger_record(old_value).is_outdated
    assert not ledger_record(message.value).is_outdated


def test_the_plain_form_shows_the_digest_in_hexadecimal() -> None:
    assert account_to_plain(replace(LARGEST_ACCOUNT, digest=255))["digest"] == "00000000000000ff"
