"""Partitions that came to us wait until their memory is restored, one after the other."""

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.consumer.memories import memory_version_of
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.restoration import RestoreSources, restore_memory

MAX_STEP_SECONDS = 0.1
"""So long at the most, and a piece of input, the group and other partitions' records wait."""


class PausedSource(Protocol):
    """Gives no records of a partition before it is told to go on."""

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        """Give the records of these partitions."""


@dataclass(frozen=True, slots=True)
class _RunningRestore:
    partition: Partition
    account: Account
    started_at: float
    steps: Generator[None, None, Memory]


class MemoryRestorer:
    """Outside of any callback, in steps between which the loop polls: so we stay a member.

    What is missing is asked at each step. So a partition that is revoked meanwhile, or whose
    account is another one by now, cancels what was begun for it.
    """

    def __init__(
        self,
        ownership: Ownership,
        source: PausedSource,
        sources: RestoreSources,
        *,
        on_restored: Callable[[Partition, Memory, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`on_restored`: told the partition, its memory and the seconds it took."""
        self._ownership = ownership
        self._source = source
        self._sources = sources
        self._on_restored = on_restored
        self._clock = clock
        self._running: _RunningRestore | None = None

    def step(self, champion: Detector) -> int:
        """Go on for a moment; return how many partitions still wait.

        Raises StateRefused where a memory cannot be restored, BrokerUnavailable.
        """
        deadline = self._clock() + MAX_STEP_SECONDS
        while True:
            self._cancel_if_outdated()
            awaiting_memory = self._ownership.awaiting_memory
            if awaiting_memory:
                self._run_step(self._running or self._begin(awaiting_memory[0], champion))
            if not awaiting_memory or self._clock() >= deadline:
                return len(self._ownership.awaiting_memory)

    def _begin(self, partition: Partition, champion: Detector) -> _RunningRestore:
        account = self._ownership.accounts.by_partition[partition]
        steps = restore_memory(partition, account, champion, self._sources)
        self._running = _RunningRestore(partition, account, self._clock(), steps)
        return self._running

    def _run_step(self, running: _RunningRestore) -> None:
        """Do one piece of work; the last of them lets the partition go on."""
        try:
            next(running.steps)
        except StopIteration as end:
            self._running = None
            self._ownership.add_restored(running.partition, end.value, running.account)
            self._on_restored(running.partition, end.value, self._clock() - running.started_at)
            self._source.resume_partitions([running.partition])

    def _cancel_if_outdated(self) -> None:
        running = self._running
        if running is None:
            return
        account = self._ownership.accounts.by_partition.get(running.partition)
        if account is None or memory_version_of(account) != memory_version_of(running.account):
            running.steps.close()
            self._running = None
