"""A loop on fakes: the client does as it is told, the outbox keeps what it is given."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry

from common.detection.detector import Detector
from common.errors import (
    SensorwatchError,
)
from common.messaging.ledger_text import to_metadata
from common.messaging.ledger_topic import GroupHistory
from common.messaging.outbox import Commit, Conclude
from common.messaging.records import OutgoingMessage, Partition
from common.messaging.snapshot_text import Snapshot
from common.registry.champion import Champion
from common.runtime.keys import BreakerSettings, ConsumerSettings, Settings, Start
from common.runtime.metrics import ConsumerMetrics
from consumer.accounts import Accounts
from consumer.loop import Parts, run
from consumer.observation import Observation
from consumer.settlement import LedgerTerms
from consumer.source import KafkaSource
from tests.builders import ANOMALOUS, a_detector
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, FakeConsumer, Step
from tests.messaging.records import StoredRecord, a_payload

ZERO = Partition(TOPIC, 0)
NEWER = "default-0002-00000000"


class FakeOutbox:
    """Remembers what was published; fails first as `failures` says (None: that one works)."""

    def __init__(self, consumer: FakeConsumer, failures: Sequence[SensorwatchError | None]) -> None:
        self._consumer = consumer
        self._failures = list(failures)
        self.published: list[tuple[list[OutgoingMessage], list[Commit]]] = []
        self.tried: list[list[OutgoingMessage]] = []

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        conclude: Conclude,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        assert membership == fakes.MEMBERSHIP
        conclusion = conclude({snapshot.source: 0 for snapshot in snapshots})
        made, commits = [*messages, *conclusion.messages], conclusion.commits
        self.tried.append(made)
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        self.published.append((made, commits))
        for commit in commits:
            self._consumer.commit_offset(
                commit.partition.number, commit.next_offset, commit.metadata
            )

    def close(self) -> None:
        pass


@dataclass
class FakeChampion:
    """Another version comes into force at the refresh of that number."""

    swap_at: int = 0
    refreshed: int = 0
    detector: Detector = field(default_factory=a_detector)

    def current(self) -> Detector:
        return self.detector

    def refresh(self) -> bool:
        self.refreshed += 1
        if self.refreshed == self.swap_at:
            self.detector = a_detector(NEWER)
            return True
        return False


class Rig:
    """A loop whose input are `steps`; it is told to stop when they are used up."""

    def __init__(
        self,
        *steps: Step,
        failures: Sequence[SensorwatchError | None] = (),
        swap_at: int = 0,
        seconds_a_look: float = 0.01,
    ) -> None:
        self.now = 0.0
        self._seconds_a_look = seconds_a_look
        self.consumer = FakeConsumer(*steps)
        self.consumer.watermarks = (0, 90)
        self.outbox = FakeOutbox(self.consumer, failures)
        self.champion = FakeChampion(swap_at)
        self.metrics = CollectorRegistry()
        self.accounts = Accounts(
            self.consumer.as_client(),
            start=Start.EARLIEST,
            window_rows=100,
            fingerprint="f",
            history=lambda: GroupHistory(frozenset(), None),
        )
        self.observation = Observation(
            ConsumerMetrics(self.metrics, topic=TOPIC),
            topic=TOPIC,
            stuck_after_seconds=60,
            clock=self._clock,
        )
        self.source = KafkaSource(
            self.consumer.as_client(),
            TOPIC,
            self.accounts,
            incremental=False,
            on_rebalance=self.observation.rebalanced,
        )
        self.consumer.give(0)
        # Opened before, so that only what a test is about is published.
        opened = self.accounts.held[ZERO]
        self.consumer.commit_offset(0, 0, to_metadata(opened))
        self.accounts.reload()

    def run(self, stopping: Callable[[], bool] | None = None) -> None:
        breaker = BreakerSettings(min_rows=10, window_rows=100, grace_seconds=2)
        parts = Parts(
            self.source,
            self.accounts,
            cast("Champion", self.champion),
            self.outbox,
            self.observation,
            Settings(consumer=ConsumerSettings(breaker=breaker)),
            LedgerTerms("g", "g.ledger", 1_000_000, "f", {}),
            1_000_000,
            lambda: None,
            clock=self._clock,
            wall_clock=lambda: 1_735_689_600.0,
        )
        run(parts, stopping or (lambda: not self.consumer.steps))

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.get_sample_value(f"sensorwatch_{name}", labels)

    def _clock(self) -> float:
        self.now += self._seconds_a_look
        return self.now


def rows(*values: bytes, first: int = 0) -> list[StoredRecord]:
    return [StoredRecord(value, first + number) for number, value in enumerate(values)]


def batch(*values: bytes, first: int = 0) -> list[Step]:
    """The steps of the client's calls that give one micro-batch."""
    given = rows(*values, first=first)
    return [given[:1], given[1:], *([[]] if len(given) > 1 else [])]


THREE = (a_payload(), a_payload(ANOMALOUS), b"{")
