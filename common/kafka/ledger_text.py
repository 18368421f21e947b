"""Text format of accounts, for the metadata of committed offsets and for the ledger topic."""

from enum import StrEnum
from typing import Any

import msgspec

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import raise_state_refused
from sensorwatch.common.ledger.account import WINDOW_BUCKETS, Account, SnapshotRef

LEDGER_VERSION = 2
MAX_METADATA_BYTES = 4_095


class Cause(StrEnum):
    """The reason for a ledger record."""

    OPENED = "opened"
    """The group committed an offset of this partition for the first time."""
    MODEL = "model"
    """Another model version scores from this offset on."""
    POLICY = "policy"
    """Another policy is in force from this offset on."""
    SEGMENT = "segment"
    """A new segment of the digest starts, because code, libraries or CPU kind changed."""
    INTERVAL = "interval"
    """The commit includes a snapshot, because the next snapshot was due or the worker stopped."""
    CLOSED = "closed"
    """A person reset the account; this is the last ledger record of the account."""


class LedgerRecord(msgspec.Struct, frozen=True):
    """A record of the ledger topic: an account of the input records below its next offset."""

    ledger_version: int
    group: str
    topic: str
    partition: int
    cause: Cause
    account: Account

    @property
    def is_outdated(self) -> bool:
        """Whether an older version, which computes other scores, wrote the record."""
        return self.ledger_version < LEDGER_VERSION

    @property
    def source(self) -> Partition:
        """The input partition of the account."""
        return Partition(self.topic, self.partition)


def to_metadata(account: Account) -> str:
    """Return an account as metadata of a committed offset: about 500 bytes of ASCII."""
    text = msgspec.json.encode(_Metadata(LEDGER_VERSION, account)).decode()
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(
            f"the account has {len(text)} bytes of text, but at most {MAX_METADATA_BYTES} fit"
        )
    return text


def from_metadata(text: str | None, offset: int) -> Account | None:
    """Return the account of `offset` in the metadata `text`, or None if there is none.

    If the result is None, a person or another program has moved the group's offsets. Raises
    DataError if a newer version of this program wrote the account, so that an intact account is not
    discarded. Raises StateRefused if an older version wrote it, because its memory cannot be read.
    """
    _require_known_version(text)
    try:
        metadata = msgspec.json.decode(text or "", type=_Metadata)
    except (ValueError, RecursionError):
        return None
    account = metadata.account
    if metadata.ledger_version != LEDGER_VERSION or account.next_offset != offset:
        return None
    return account if _is_valid(account) else None


def _require_known_version(text: str | None) -> None:
    try:
        # Read only the version first, because a newer version may have other fields.
        version = msgspec.json.decode(text or "", type=_VersionField).ledger_version
    except (ValueError, RecursionError):
        return
    if 0 < version < LEDGER_VERSION:
        raise_state_refused(
            f"an older sensorwatch committed the account (ledger version {version}, wanted "
            f"{LEDGER_VERSION}), and its memory cannot be read"
        )
    if version > LEDGER_VERSION:
        raise DataError(
            f"the committed offsets contain an account of ledger version {version}, but this "
            f"program reads versions up to {LEDGER_VERSION}: a newer sensorwatch ran in this "
            "group. Nothing was changed. Run that version or a later one, or use another "
            "[consumer] group"
        )


def ledger_message(
    topic: str, group: str, partition: Partition, account: Account, cause: Cause
) -> OutgoingMessage:
    """Return the ledger record of an account; its key is the input partition."""
    record = LedgerRecord(LEDGER_VERSION, group, partition.topic, partition.number, cause, account)
    return OutgoingMessage(topic, str(partition).encode(), msgspec.json.encode(record), [])


def ledger_record(value: bytes | None) -> LedgerRecord:
    """Return a parsed ledger record; a record of an older version has no absorbed records.

    Raises ValueError if the value is not a ledger record, and DataError if a newer version of this
    program wrote it.
    """
    try:
        record = msgspec.json.decode(value or b"", type=LedgerRecord)
    except RecursionError as error:
        raise ValueError("too deeply nested") from error
    if record.ledger_version > LEDGER_VERSION:
        raise DataError(
            f"the ledger contains a record of version {record.ledger_version}, but this program "
            f"reads versions up to {LEDGER_VERSION}: run the newer sensorwatch that wrote it"
        )
    return record


def account_to_plain(account: Account) -> dict[str, Any]:
    """Return an account as a dict of plain values for output, with the digest as 16 hex digits."""
    plain_account: dict[str, Any] = msgspec.to_builtins(account)
    return plain_account | {"digest": f"{account.digest:016x}"}


def _is_valid(account: Account) -> bool:
    """Return whether all numbers of an account are in their valid ranges."""
    snapshot = account.snapshot or SnapshotRef(0, 0)
    counts = (account.consumed, account.first_offset, account.segment, *account.window_rejected)
    return (
        account.max_sensors >= 1
        and 0 <= account.joined <= account.absorbed <= account.consumed
        and min(*counts, account.rows, snapshot.offset, snapshot.next_offset) >= 0
        and account.window_bucket_rows >= 1
        and 1 <= len(account.window_rejected) <= WINDOW_BUCKETS
        and 0 <= account.digest < 2**64
    )


class _Metadata(msgspec.Struct, frozen=True):
    ledger_version: int
    account: Account


class _VersionField(msgspec.Struct, frozen=True):
    ledger_version: int
