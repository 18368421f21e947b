"""Accounts as text: in the metadata of committed offsets, and as records of the ledger topic."""

from enum import StrEnum
from typing import Any

import msgspec

from sensorwatch.common.errors import DataError
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import WINDOW_BUCKETS, Account, SnapshotRef

LEDGER_VERSION = 1
MAX_METADATA_BYTES = 4_095


class Cause(StrEnum):
    """Why the ledger topic has a record of an account."""

    OPENED = "opened"
    """The group's first commit of this partition."""
    MODEL = "model"
    """From this offset on another version scores."""
    SEGMENT = "segment"
    """From this offset on the digest begins anew: other code, libraries or CPU kind."""
    INTERVAL = "interval"
    """So many rows since the last record."""
    CLOSED = "closed"
    """The last of an account: a person let a new one begin."""


class LedgerRecord(msgspec.Struct, frozen=True):
    """An account as it stood when every record below its next offset was accounted for."""

    ledger_version: int
    group: str
    topic: str
    partition: int
    cause: Cause
    account: Account

    @property
    def source(self) -> Partition:
        """The input partition it is of."""
        return Partition(self.topic, self.partition)


def to_metadata(account: Account) -> str:
    """Write an account into a committed offset's metadata (about 450 bytes, ASCII)."""
    text = msgspec.json.encode(_Metadata(LEDGER_VERSION, account)).decode()
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"the ledger's text has {len(text)} bytes, at most {MAX_METADATA_BYTES}")
    return text


def from_metadata(text: str | None, offset: int) -> Account | None:
    """Read the account back, or None where the metadata is no account of this offset.

    That is so where a person or another program moved the group's offsets. Raises DataError where
    a newer version of this program wrote it: beginning anew would throw a good account away.
    """
    _require_known_version(text)
    try:
        metadata = msgspec.json.decode(text or "", type=_Metadata)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    account = metadata.account
    fits = metadata.ledger_version == LEDGER_VERSION and account.next_offset == offset
    return account if fits and _is_valid(account) else None


def _require_known_version(text: str | None) -> None:
    try:
        # Read first and alone: what else a newer version writes, nobody here can know.
        version = msgspec.json.decode(text or "", type=_VersionField).ledger_version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    if version > LEDGER_VERSION:
        raise DataError(
            f"the committed offsets carry an account of ledger version {version}, and this program "
            f"reads up to {LEDGER_VERSION}: a newer sensorwatch ran in this group. Nothing was "
            "changed. Run that version or a later one, or use another [consumer] group"
        )


def ledger_message(
    topic: str, group: str, partition: Partition, account: Account, cause: Cause
) -> OutgoingMessage:
    """Make the ledger topic's record of an account; keyed by the input partition."""
    record = LedgerRecord(LEDGER_VERSION, group, partition.topic, partition.number, cause, account)
    return OutgoingMessage(topic, str(partition).encode(), msgspec.json.encode(record), [])


def ledger_record(value: bytes | None) -> LedgerRecord:
    """Read a record of the ledger topic; raises ValueError where it is none."""
    record = msgspec.json.decode(value or b"", type=LedgerRecord)
    if record.ledger_version > LEDGER_VERSION:
        raise ValueError(f"ledger version {record.ledger_version} is newer than {LEDGER_VERSION}")
    return record


def account_to_plain(account: Account) -> dict[str, Any]:
    """Return an account as plain values, the digest as 16 hex digits, for people and `--json`."""
    plain: dict[str, Any] = msgspec.to_builtins(account)
    return plain | {"digest": f"{account.digest:016x}"}


def _is_valid(account: Account) -> bool:
    """Whether the account can be moved on: what we write always can."""
    at = account.snapshot or SnapshotRef(0, 0)
    counts = (account.consumed, account.first_offset, account.segment, *account.window_rejected)
    return (
        account.max_sensors >= 1
        and min(*counts, at.offset, at.next_offset) >= 0
        and account.window_bucket_rows >= 1
        and 1 <= len(account.window_rejected) <= WINDOW_BUCKETS
        and 0 <= account.digest < 2**64
    )


class _Metadata(msgspec.Struct, frozen=True):
    ledger_version: int
    account: Account


class _VersionField(msgspec.Struct, frozen=True):
    ledger_version: int
