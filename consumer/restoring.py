"""Partitions that came to us wait until their memory is restored, one after the other."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.consumer.memories import place_of
from sensorwatch.consumer.ownership import Holdings
from sensorwatch.consumer.restoration import Stores, restored

STEP_SECONDS = 0.1
"""So long at the most, and a piece of input, the group and other partitions' records wait."""


class Waiting(Protocol):
    """Gives no records of a partition before it is told to go on."""

    def go_on(self, partitions: Sequence[Partition]) -> None:
        """Give the records of these partitions."""


@dataclass(frozen=True, slots=True)
class _Running:
    partition: Partition
    account: Account
    began: float
    steps: Generator[None, None, Memory]


class Restoring:
    """Outside of any callback, in steps between which the loop polls: so we stay a member.

    What is missing is asked at each step. So a partition that is revoked meanwhile, or whose
    account is another one by now, cancels what was begun for it.
    """

    def __init__(
        self,
        holdings: Holdings,
        waiting: Waiting,
        stores: Stores,
        *,
        on_restored: Callable[[Partition, Memory, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_restored`: told the partition, its memory and the seconds it took."""
        self._holdings = holdings
        self._waiting = waiting
        self._stores = stores
        self._on_restored = on_restored
        self._clock = clock
        self._running: _Running | None = None

    def step(self, champion: Detector) -> int:
        """Go on for a moment; return how many partitions still wait.

        Raises StateRefused where a memory cannot be restored, BrokerUnavailable.
        """
        deadline = self._clock() + STEP_SECONDS
        while True:
            self._cancel_unless_wanted()
            missing = self._holdings.missing
            if missing:
                self._advance(self._running or self._begin(missing[0], champion))
            if not missing or self._clock() >= deadline:
                return len(self._holdings.missing)

    def _begin(self, partition: Partition, champion: Detector) -> _Running:
        account = self._holdings.accounts.held[partition]
        steps = restored(partition, account, champion, self._stores)
        self._running = _Running(partition, account, self._clock(), steps)
        return self._running

    def _advance(self, running: _Running) -> None:
        """Do one piece of work; the last of them lets the partition go on."""
        try:
            next(running.steps)
        except StopIteration as end:
            self._running = None
            self._holdings.restored(running.partition, end.value, running.account)
            self._on_restored(running.partition, end.value, self._clock() - running.began)
            self._waiting.go_on([running.partition])

    def _cancel_unless_wanted(self) -> None:
        running = self._running
        if running is None:
            return
        account = self._holdings.accounts.held.get(running.partition)
        if account is None or place_of(account) != place_of(running.account):
            running.steps.close()
            self._running = None
