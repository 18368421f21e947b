from dataclasses import replace

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.kafka.committed_accounts import CommittedAccount
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.state.account_reset import AccountSettings, Reset, lost_by_reset, plan_reset
from sensorwatch.state.snapshot_summary import SnapshotSummary

PARTITION = Partition("sensors", 2)
SILENCE_RULE = SilenceRule(check_seconds=60)
ACCOUNT_SETTINGS = AccountSettings(
    "default-0001-00000000", "f", window_rows=200, max_sensors=9, silence_rule=SILENCE_RULE
)
RETAINED_RANGE = (100, 900)
SNAPSHOT_SUMMARY = SnapshotSummary(
    480, "default-0001-00000000", 40, open_episodes=3, warming_up=5, bytes=9_000
)


def an_account(offset: int = 500) -> Account:
    account = open_account(0, model_version="default-0001-00000000", fingerprint="old")
    return replace(account, next_offset=offset, consumed=offset, normal=offset, digest=7)


def a_reset(
    requested_offset: str | None = None, committed_account: CommittedAccount | None = None
) -> Reset:
    return plan_reset(
        PARTITION,
        committed_account or CommittedAccount(500, an_account()),
        RETAINED_RANGE,
        requested_offset,
        ACCOUNT_SETTINGS,
    )


def reset_text(reset: Reset, summary: SnapshotSummary | str | None = SNAPSHOT_SUMMARY) -> str:
    return "\n".join(lost_by_reset(reset, summary))


@pytest.mark.parametrize(
    ("requested_offset", "offset"), [(None, 500), ("earliest", 100), ("latest", 900), ("333", 333)]
)
def test_a_new_account_begins_at_the_committed_or_the_requested_offset(
    requested_offset: str | None, offset: int
) -> None:
    account = a_reset(requested_offset).account

    assert account == open_account(
        offset,
        model_version=ACCOUNT_SETTINGS.model_version,
        fingerprint="f",
        window_rows=200,
        max_sensors=9,
        silence_rule=SILENCE_RULE,
    )
    assert account.snapshot is None, "an account without a snapshot means a cold memory"


def test_the_ledger_records_the_end_of_the_old_account_and_the_new_account() -> None:
    reset = a_reset()

    assert reset.ledger_entries == [
        (PARTITION, Cause.CLOSED, an_account()),
        (PARTITION, Cause.OPENED, reset.account),
    ]
    reset_without_account = a_reset(committed_account=CommittedAccount(500, None))
    assert reset_without_account.ledger_entries == [
        (PARTITION, Cause.OPENED, reset_without_account.account)
    ]


@pytest.mark.parametrize("requested_offset", ["99", "901", "-1", "soon", "1e2", ""])
def test_an_offset_outside_the_retained_range_is_refused(requested_offset: str) -> None:
    with pytest.raises(UsageError, match="--to"):
        a_reset(requested_offset)


def test_a_committed_offset_outside_the_retained_range_is_refused() -> None:
    with pytest.raises(UsageError, match="has offsets 100 to 899, but not 50"):
        a_reset(committed_account=CommittedAccount(50, an_account(50)))


def test_without_a_committed_offset_the_reset_needs_an_offset() -> None:
    with pytest.raises(UsageError, match="ledger restore"):
        plan_reset(PARTITION, None, RETAINED_RANGE, None, ACCOUNT_SETTINGS)

    reset = plan_reset(PARTITION, None, RETAINED_RANGE, "700", ACCOUNT_SETTINGS)
    assert reset.account.next_offset == 700


def test_lost_sensors_and_episodes_are_counted() -> None:
    text = reset_text(a_reset())

    assert "sensors-2: a new account and a cold memory from offset 500 on" in text
    assert "as of offset 480: 40 sensors, which warm up again (5 of them" in text
    assert "3 open episodes, for which no closing event is published" in text
    assert "scored again" not in text
    assert "never" not in text


def test_records_scored_twice_or_never_are_reported() -> None:
    assert "records 333 to 499 are scored again" in reset_text(a_reset("333"))
    assert "records 500 to 899 are never scored" in reset_text(a_reset("latest"))


def test_an_unreadable_or_missing_snapshot_or_account_is_reported() -> None:
    assert "cannot be read: deleted" in reset_text(a_reset(), "deleted")
    assert "no snapshot" in reset_text(a_reset(), None)
    assert "moved by hand" in reset_text(a_reset(committed_account=CommittedAccount(500, None)))


def test_the_reset_of_an_account_of_an_older_version_says_so() -> None:
    reset = a_reset(committed_account=CommittedAccount(500, None, is_outdated=True))

    assert reset.account.next_offset == 500
    assert "an older sensorwatch committed the account" in reset_text(reset)
    assert "moved by hand" not in reset_text(reset)
