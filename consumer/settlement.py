"""What a micro-batch commits: accounts moved on, next offsets, ledger records; no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from common.detection.ledger import Account, advance, counted_rejections, new_segment
from common.detection.processing import Outcome
from common.messaging.ledger_text import Cause, ledger_message, to_metadata
from common.messaging.outbox import Commit
from common.messaging.records import OutgoingMessage, Partition, Record


@dataclass(frozen=True, slots=True)
class LedgerTerms:
    """How this worker keeps the ledger."""

    group: str
    topic: str
    every_rows: int
    fingerprint: str
    """Of this process: see common/runtime/fingerprint.py."""
    accept_rejections_until: Mapping[Partition, int]


@dataclass(frozen=True, slots=True)
class Settlement:
    """The accounts after a micro-batch, and what of them is to be committed with it."""

    accounts: dict[Partition, Account]
    messages: list[OutgoingMessage]
    rejected: dict[Partition, NDArray[np.bool_]] = field(default_factory=dict)
    """Of each partition's records in the micro-batch, which count for the breaker."""

    @property
    def commits(self) -> list[Commit]:
        """The next offsets, each with its account as metadata."""
        return [
            Commit(partition, account.next_offset, to_metadata(account))
            for partition, account in self.accounts.items()
        ]


def settle(
    held: Mapping[Partition, Account],
    unopened: frozenset[Partition],
    records: Sequence[Record],
    outcome: Outcome,
    model_version: str,
    terms: LedgerTerms,
) -> Settlement:
    """Move the accounts on by one micro-batch; open those that nobody has committed yet."""
    accounts: dict[Partition, Account] = {}
    messages: list[OutgoingMessage] = []
    rejected: dict[Partition, NDArray[np.bool_]] = {}

    def note(partition: Partition, account: Account, cause: Cause) -> None:
        messages.append(ledger_message(terms.topic, terms.group, partition, account, cause))

    for partition in sorted(unopened):
        accounts[partition] = replace(held[partition], model_version=model_version)
        note(partition, accounts[partition], Cause.OPENED)
    kinds, reasons, score_bits = outcome.kinds, outcome.reasons, outcome.score_bits
    for partition, rows, offsets in _by_partition(records):
        account = accounts.get(partition, held[partition])
        if account.model_version != model_version:
            note(partition, account, Cause.MODEL)
        if account.fingerprint != terms.fingerprint:
            note(partition, account, Cause.SEGMENT)
            account = new_segment(account, fingerprint=terms.fingerprint)
        accepted_until = terms.accept_rejections_until.get(partition, 0)
        rejected[partition] = counted_rejections(offsets, kinds[rows], accepted_until)
        moved = advance(
            account,
            offsets=offsets,
            kinds=kinds[rows],
            reasons=reasons[rows],
            score_bits=score_bits[rows],
            model_version=model_version,
            accept_rejections_until=accepted_until,
        )
        if moved.consumed // terms.every_rows > account.consumed // terms.every_rows:
            note(partition, moved, Cause.INTERVAL)
        accounts[partition] = moved
    return Settlement(accounts, messages, rejected)


def _by_partition(
    records: Sequence[Record],
) -> list[tuple[Partition, NDArray[np.int64], NDArray[np.int64]]]:
    """Group a micro-batch: per partition the positions of its records, and their offsets."""
    rows: dict[tuple[str | None, int | None], list[int]] = {}
    offsets: dict[tuple[str | None, int | None], list[int | None]] = {}
    for position, record in enumerate(records):
        where = (record.topic(), record.partition())
        rows.setdefault(where, []).append(position)
        offsets.setdefault(where, []).append(record.offset())
    return [
        (
            Partition(str(topic), int(number or 0)),
            np.asarray(positions, dtype=np.int64),
            np.asarray(offsets[topic, number], dtype=np.int64),
        )
        for (topic, number), positions in rows.items()
    ]
