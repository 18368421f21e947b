"""Proof that nothing was lost, doubled or scored differently: score the input again, compare."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice, pairwise

import numpy as np

from common.detection.detector import Detector
from common.detection.ledger import Account, advance, new_segment
from common.detection.processing import process
from common.errors import ModelRefused
from common.messaging.ledger_text import Cause, LedgerRecord
from common.messaging.records import Partition, Record, coordinates, received_at

ROWS = 10_000
COUNTS = ("consumed", "normal", "anomalies", "dead_letters")


class Verdict(StrEnum):
    """What came of scoring a stretch again."""

    PROVEN = "proven"
    """Same counts, same digest: every record had this outcome and these score bits."""
    COUNTS_ONLY = "counts only"
    """Same counts, but written by other code, libraries or CPU kind: no digest to compare."""
    DIFFERENT = "DIFFERENT"
    """Counts or digest differ: something was lost, doubled or scored differently."""
    NOT_RETAINED = "input not retained"
    """The topic no longer holds all of the input."""
    BEGUN_ANEW = "ACCOUNT BEGUN ANEW"
    """Somebody moved the group's offset: what lies between the two accounts is not proven."""
    NO_MODEL = "model not there"
    """The registry no longer holds the version that scored it, or refuses it."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """The input of one partition between two accounts, scored by one version."""

    partition: Partition
    begin: Account
    end: Account

    @property
    def version(self) -> str:
        """The version that scored it."""
        return self.end.model_version

    @property
    def records(self) -> int:
        """How many records its two accounts enclose; none where the second begins anew."""
        return max(0, self.end.consumed - self.begin.consumed)


@dataclass(frozen=True, slots=True)
class Finding:
    """The verdict on a stretch."""

    stretch: Stretch
    verdict: Verdict
    detail: str = ""


def stretches(records: Sequence[LedgerRecord], committed: Account | None) -> list[Stretch]:
    """Cut a partition's ledger into stretches of one model version and one digest segment each.

    `records`: of one partition, in order. `committed`: the account in its committed offset.
    """
    points = [(record.cause, record.account) for record in records]
    if points and committed is not None:
        points.append((Cause.INTERVAL, committed))
    found = []
    for (_, begin), (cause, end) in pairwise(points):
        if cause is Cause.OPENED or end.next_offset == begin.next_offset:
            continue
        if end.segment != begin.segment:
            begin = new_segment(begin, fingerprint=end.fingerprint)  # noqa: PLW2901 - same place, new digest
        found.append(Stretch(records[0].source, begin, end))
    return found


def begun_anew(records: Sequence[LedgerRecord]) -> list[Finding]:
    """Name each place where a partition's account was begun a second time, and what that means.

    `records`: of one partition, in order.
    """
    found = []
    for before, after in pairwise(records):
        old, new = before.account.next_offset, after.account.next_offset
        if after.cause is not Cause.OPENED or old == new:
            continue
        what = (
            f"offsets {new} to {old - 1} were scored again"
            if new < old
            else f"whatever was committed from offset {old} to {new - 1} was skipped, or its "
            "account is lost"
        )
        stretch = Stretch(before.source, before.account, after.account)
        detail = f"the group's offset was moved to {new} from outside: {what}"
        found.append(Finding(stretch, Verdict.BEGUN_ANEW, detail))
    return found


def since_begun(records: Sequence[LedgerRecord]) -> Sequence[LedgerRecord]:
    """Return the records from the newest beginning of the account on."""
    opened = [n for n, record in enumerate(records) if record.cause is Cause.OPENED]
    return records[opened[-1] :] if opened else records


def verify(
    stretch: Stretch,
    *,
    fingerprint: str,
    first_retained: int,
    read: Callable[[Stretch], Iterator[Record]],
    load: Callable[[str], Detector],
) -> Finding:
    """Score a stretch again and compare the account with the one in the ledger.

    `read` yields its input records; `load` gives a model version or raises ModelRefused.
    """
    if first_retained > stretch.begin.next_offset:
        gone = f"offsets {stretch.begin.next_offset} to {first_retained - 1} are deleted"
        return Finding(stretch, Verdict.NOT_RETAINED, gone)
    try:
        detector = load(stretch.version)
    except ModelRefused as error:
        return Finding(stretch, Verdict.NO_MODEL, str(error))
    account = _account_again(stretch.begin, read(stretch), detector)
    differences = _differences(account, stretch.end)
    if differences:
        return Finding(stretch, Verdict.DIFFERENT, "; ".join(differences))
    if account.digest == stretch.end.digest:
        return Finding(stretch, Verdict.PROVEN)
    if stretch.end.fingerprint != fingerprint:
        detail = f"written by fingerprint {stretch.end.fingerprint}, here it is {fingerprint}"
        return Finding(stretch, Verdict.COUNTS_ONLY, detail)
    detail = f"digest {stretch.end.digest:016x} in the ledger, {account.digest:016x} again"
    return Finding(stretch, Verdict.DIFFERENT, detail)


def _account_again(account: Account, records: Iterable[Record], detector: Detector) -> Account:
    memory, source = detector.cold(), iter(records)
    while chunk := list(islice(source, ROWS)):
        outcome = process(
            [record.value() for record in chunk],
            detector,
            memory,
            received=[received_at(record) for record in chunk],
        )
        account = advance(
            account,
            offsets=np.asarray([coordinates(record).offset for record in chunk], dtype=np.int64),
            kinds=outcome.kinds,
            reasons=outcome.reasons,
            score_bits=outcome.score_bits,
            model_version=detector.version,
        )
    return account


def _differences(again: Account, ledger: Account) -> list[str]:
    return [
        f"{name} {getattr(ledger, name)} in the ledger, {getattr(again, name)} again"
        for name in COUNTS
        if getattr(ledger, name) != getattr(again, name)
    ]
