"""A loop on fakes: the client does as it is told, the outbox keeps what it is given."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import ModelRefused, SensorwatchError
from sensorwatch.common.kafka.ledger_text import to_metadata
from sensorwatch.common.kafka.ledger_topic import GroupHistory
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot, refuse
from sensorwatch.common.kafka.state_topic import OldSnapshots
from sensorwatch.common.ledger.account import SnapshotAt, open_account
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.row_executor import Crew, alone
from sensorwatch.common.runtime.metrics import ConsumerMetrics
from sensorwatch.common.runtime.setting_keys import (
    BreakerSettings,
    ConsumerSettings,
    Emit,
    Settings,
    Start,
)
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.loop import Parts, run
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.ownership import Holdings
from sensorwatch.consumer.publication import LedgerTerms
from sensorwatch.consumer.publishing.outbox import Commit, Conclude
from sensorwatch.consumer.restoration import Stores
from sensorwatch.consumer.restoring import Restoring
from sensorwatch.consumer.snapshot_schedule import Schedule
from sensorwatch.consumer.source import KafkaSource
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, FakeConsumer, Step
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS, a_detector

ZERO = Partition(TOPIC, 0)
OLDER, NEWER = "default-0001-00000000", "default-0002-00000000"


class FakeState:
    """A state topic: snapshots by the offset of their manifest; what is not kept cannot be read."""

    def __init__(self) -> None:
        self.end = 0
        self.snapshots: dict[SnapshotAt, Snapshot] = {}
        self.forgotten: list[tuple[int, int]] = []

    def offsets(self, snapshots: Sequence[Snapshot]) -> dict[Partition, int]:
        """Give each one the next place, also where the transaction is aborted later."""
        first, self.end = self.end, self.end + 2 * len(snapshots)
        return {found.source: first + 2 * place + 1 for place, found in enumerate(snapshots)}

    def write(self, snapshots: Sequence[Snapshot], offsets: Mapping[Partition, int]) -> None:
        for found in snapshots:
            self.snapshots[SnapshotAt(offsets[found.source], found.next_offset)] = found

    def read(self, partition: Partition, at: SnapshotAt) -> Snapshot:
        if at not in self.snapshots:
            refuse(f"there is no snapshot at {at}")
        found = self.snapshots[at]
        assert found.source == partition
        return found

    def forget_before(self, partition: int, offset: int) -> None:
        self.forgotten.append((partition, offset))


class FakeOutbox:
    """Remembers what was published; fails first as `failures` says (None: that one works).

    `after`: those failures come when all was committed.
    """

    def __init__(
        self,
        consumer: FakeConsumer,
        failures: Sequence[SensorwatchError | None] = (),
        *,
        after: bool = False,
        state: "FakeState | None" = None,
    ) -> None:
        self._consumer = consumer
        self._failures = list(failures)
        self._after = after
        self.state = state or FakeState()
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
        made = list(messages)
        offsets = self.state.offsets(snapshots)
        conclusion = conclude(offsets)
        made += conclusion.messages
        self.tried.append(made)
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not self._after:
            raise failure
        self.published.append((made, conclusion.commits))
        self.state.write(snapshots, offsets)
        for commit in conclusion.commits:
            self._consumer.commit_offset(
                commit.partition.number, commit.next_offset, commit.metadata
            )
        if failure is not None:
            raise failure

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
        after: bool = False,
        swap_at: int = 0,
        seconds_a_look: float = 0.01,
        consumer: FakeConsumer | None = None,
        state: FakeState | None = None,
        fingerprint: str = "f",
        champion: str = OLDER,
        versions: Sequence[str] = (OLDER, NEWER),
        snapshot_every_rows: int = 1_000_000,
        snapshot_every_seconds: float = 1_000_000.0,
        max_sensors: int = 1_000,
        emit: Emit = Emit.ROWS,
        detector: Callable[[str], Detector] = a_detector,
    ) -> None:
        self.now = 0.0
        self._seconds_a_look = seconds_a_look
        self.consumer = consumer or FakeConsumer(*steps)
        self.consumer.watermarks = (0, 90)
        self.state = state or FakeState()
        self.outbox = FakeOutbox(self.consumer, failures, after=after, state=self.state)
        self.emit = emit
        self.crew: Crew = alone
        self.champion = FakeChampion(swap_at, detector=detector(champion))
        self.metrics = CollectorRegistry()
        self.observation = Observation(
            ConsumerMetrics(self.metrics, topic=TOPIC),
            topic=TOPIC,
            stuck_after_seconds=60,
            clock=self._clock,
        )
        self.accounts = Accounts(
            self.consumer.as_client(),
            start=Start.EARLIEST,
            window_rows=100,
            fingerprint=fingerprint,
            history=lambda: GroupHistory(frozenset(), None),
            max_sensors=max_sensors,
        )
        schedule = Schedule(
            every_rows=snapshot_every_rows,
            every_seconds=snapshot_every_seconds,
            clock=self._clock,
        )
        self.memories = Memories()
        self.holdings = Holdings(self.accounts, self.memories, schedule)
        self.source = KafkaSource(
            self.consumer.as_client(),
            TOPIC,
            self.holdings,
            incremental=False,
            on_rebalance=self.observation.rebalanced,
        )
        self.replayed: list[tuple[Partition, int, int]] = []
        self.input: list[StoredRecord] = []
        """What can be read of the input again."""
        self.detectors = {version: detector(version) for version in versions}
        self.terms = LedgerTerms("g", "g.ledger", 4, fingerprint, {}, max_sensors)
        self.restoring = Restoring(
            self.holdings,
            self.source,
            Stores(self.state.read, self._read, self._load, fingerprint, 4),
            on_restored=self.observation.restored,
            clock=self._clock,
        )

    def opened(self) -> "Rig":
        """Give it partition 0, opened before, so that only what a test is about is published."""
        account = open_account(
            0,
            model_version=a_detector().version,
            fingerprint="f",
            window_rows=100,
            max_sensors=self.terms.max_sensors,
        )
        self.consumer.commit_offset(0, 0, to_metadata(account))
        self.consumer.give(0)
        self.restoring.step(self.champion.current())
        return self

    def run(self, stopping: Callable[[], bool] | None = None) -> None:
        breaker = BreakerSettings(min_rows=10, window_rows=100, grace_seconds=2)
        parts = Parts(
            source=self.source,
            holdings=self.holdings,
            restoring=self.restoring,
            champion=cast("Champion", self.champion),
            outbox=self.outbox,
            observation=self.observation,
            settings=Settings(consumer=ConsumerSettings(breaker=breaker, emit=self.emit)),
            terms=self.terms,
            max_message_bytes=1_000_000,
            check_input=lambda: None,
            old_snapshots=cast("OldSnapshots", self.state),
            crew=self.crew,
            clock=self._clock,
            wall_clock=lambda: 1_735_689_600.0,
        )
        run(parts, stopping or (lambda: not self.consumer.steps))

    def _read(self, partition: Partition, begin: int, end: int) -> Iterator[list[StoredRecord]]:
        self.replayed.append((partition, begin, end))
        found = [
            record
            for record in self.input
            if record.partition() == partition.number and begin <= record.stored_offset < end
        ]
        for start in range(0, len(found), 3):
            yield []
            yield found[start : start + 3]

    def _load(self, version: str) -> Detector:
        if version not in self.detectors:
            raise ModelRefused(f"no version {version}")
        return self.detectors[version]

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
