"""Runs the consumer loop with fakes of the client, state topic, champion and outbox."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import ModelRefused, SensorwatchError, SnapshotNotWritten
from sensorwatch.common.kafka.ledger_text import to_metadata
from sensorwatch.common.kafka.ledger_topic import GroupHistory
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.snapshot_text import Snapshot, raise_state_refused
from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter
from sensorwatch.common.ledger.account import SnapshotRef, open_account
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.policy_follower import PolicyFollower
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.runtime.metrics import ConsumerMetrics
from sensorwatch.common.runtime.setting_choices import EmittedEvents, StartPosition
from sensorwatch.common.runtime.setting_keys import BreakerSettings, ConsumerSettings, Settings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.final_snapshots import write_final_snapshots
from sensorwatch.consumer.loop import run
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.publishing.outbox import Commit, CommitPlanner
from sensorwatch.consumer.restoration import MemoryRestorer, RestoreSources
from sensorwatch.consumer.settlement import LedgerContext
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule
from sensorwatch.consumer.source import KafkaSource
from sensorwatch.consumer.wiring import Clock, Policy, Wiring
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, ConsumeStep, FakeConsumer
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

PARTITION_0 = Partition(TOPIC, 0)
OLD_VERSION, NEW_VERSION = "default-0001-00000000", "default-0002-00000000"


class FakeStateTopic:
    """A fake of the state topic, which stores snapshots in a dict."""

    def __init__(self) -> None:
        self.end_offset = 0
        self.snapshots: dict[SnapshotRef, Snapshot] = {}
        self.deletions: list[tuple[int, int]] = []
        """The arguments of the calls of `delete_before`: partition and offset."""

    def offsets(self, snapshots: Sequence[Snapshot]) -> dict[Partition, int]:
        """Return the offset of each snapshot's manifest.

        The offsets are not used again, even if the transaction aborts.
        """
        first_offset, self.end_offset = self.end_offset, self.end_offset + 2 * len(snapshots)
        return {
            snapshot.source: first_offset + 2 * number + 1
            for number, snapshot in enumerate(snapshots)
        }

    def write(self, snapshots: Sequence[Snapshot], offsets: Mapping[Partition, int]) -> None:
        for snapshot in snapshots:
            snapshot_ref = SnapshotRef(offsets[snapshot.source], snapshot.next_offset)
            self.snapshots[snapshot_ref] = snapshot

    def read(self, partition: Partition, snapshot_ref: SnapshotRef) -> Snapshot:
        if snapshot_ref not in self.snapshots:
            raise_state_refused(f"there is no snapshot at {snapshot_ref}")
        snapshot = self.snapshots[snapshot_ref]
        assert snapshot.source == partition
        return snapshot

    def delete_before(self, partition: int, offset: int) -> None:
        self.deletions.append((partition, offset))


class FakeOutbox:
    """An outbox that stores the published messages and commits.

    `failures` are the errors of the first calls of `publish`, one per call; None means success.
    A call raises its error before the commit, or with `fail_after_commit` after it.
    """

    def __init__(
        self,
        consumer: FakeConsumer,
        failures: Sequence[SensorwatchError | None] = (),
        *,
        fail_after_commit: bool = False,
        state_topic: FakeStateTopic | None = None,
    ) -> None:
        self._consumer = consumer
        self._failures = list(failures)
        self._fail_after_commit = fail_after_commit
        self.state_topic = state_topic or FakeStateTopic()
        self.published_batches: list[tuple[list[OutgoingMessage], list[Commit]]] = []
        self.attempts: list[list[OutgoingMessage]] = []

    def publish(
        self,
        messages: Iterable[OutgoingMessage],
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot] = (),
    ) -> None:
        assert membership == fakes.MEMBERSHIP
        all_messages = list(messages)
        offsets = self.state_topic.offsets(snapshots)
        commit_plan = plan_commit(offsets)
        all_messages += commit_plan.messages
        self.attempts.append(all_messages)
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None and not self._fail_after_commit:
            raise failure
        self.published_batches.append((all_messages, commit_plan.commits))
        self.state_topic.write(snapshots, offsets)
        for commit in commit_plan.commits:
            self._consumer.commit_offset(
                commit.partition.number, commit.next_offset, commit.metadata
            )
        if failure is not None:
            raise failure

    def publish_last(
        self,
        plan_commit: CommitPlanner,
        membership: object,
        *,
        snapshots: Sequence[Snapshot],
        seconds: float,
    ) -> None:
        assert seconds > 0
        try:
            self.publish([], plan_commit, membership, snapshots=snapshots)
        except SensorwatchError as error:
            raise SnapshotNotWritten(str(error)) from error

    def close(self) -> None:
        pass


@dataclass
class FakeChampion:
    """A champion that changes to NEW_VERSION at call number `swap_at_refresh` of `refresh`."""

    swap_at_refresh: int = 0
    refresh_count: int = 0
    detector: Detector = field(default_factory=a_detector)

    def current(self) -> Detector:
        return self.detector

    def refresh(self) -> bool:
        self.refresh_count += 1
        if self.refresh_count == self.swap_at_refresh:
            self.detector = a_detector(NEW_VERSION)
            return True
        return False


class FakePolicies:
    """Policies that are adopted one after another: `refresh` adopts the next one."""

    def __init__(self, policies: Sequence[AlarmPolicy | None] = (None,)) -> None:
        self.stored = {"" if policy is None else policy.id: policy for policy in policies}
        self._current, *self.waiting = policies

    def current(self) -> AlarmPolicy | None:
        return self._current

    def refresh(self) -> bool:
        if not self.waiting:
            return False
        self._current = self.waiting.pop(0)
        return True


class LoopRig:
    """A consumer loop with fakes; the loop consumes `steps` and stops after the last step."""

    def __init__(
        self,
        *steps: ConsumeStep,
        failures: Sequence[SensorwatchError | None] = (),
        fail_after_commit: bool = False,
        swap_at_refresh: int = 0,
        clock_step_seconds: float = 0.01,
        consumer: FakeConsumer | None = None,
        state_topic: FakeStateTopic | None = None,
        fingerprint: str = "f",
        champion: str = OLD_VERSION,
        versions: Sequence[str] = (OLD_VERSION, NEW_VERSION),
        snapshot_every_rows: int = 1_000_000,
        snapshot_every_seconds: float = 1_000_000.0,
        max_sensors: int = 1_000,
        silence_rule: SilenceRule = NO_SILENCE_CHECK,
        emit: EmittedEvents = EmittedEvents.ROWS,
        detector: Callable[[str], Detector] = a_detector,
        policies: Sequence[AlarmPolicy | None] = (None,),
        scores_topic: str | None = None,
    ) -> None:
        self.now = 0.0
        self._clock_step_seconds = clock_step_seconds
        self.consumer = consumer or FakeConsumer(*steps)
        self.consumer.watermarks = (0, 90)
        self.state_topic = state_topic or FakeStateTopic()
        self.outbox = FakeOutbox(
            self.consumer,
            failures,
            fail_after_commit=fail_after_commit,
            state_topic=self.state_topic,
        )
        self.emit = emit
        self.scores_topic = scores_topic
        self.row_executor: RowExecutor = run_serially
        self.champion = FakeChampion(swap_at_refresh, detector=detector(champion))
        self.policies = FakePolicies(policies)
        self.metrics = CollectorRegistry()
        self.observation = Observation(
            ConsumerMetrics(self.metrics, topic=TOPIC),
            topic=TOPIC,
            stuck_after_seconds=60,
            clock=self._read_clock,
        )
        self.accounts = Accounts(
            self.consumer.as_client(),
            start=StartPosition.EARLIEST,
            window_rows=100,
            fingerprint=fingerprint,
            history=lambda: GroupHistory(frozenset(), None),
            retry=RetryPolicy(60.0, clock=self._read_clock, sleep=lambda _seconds: None),
            max_sensors=max_sensors,
            silence_rule=silence_rule,
        )
        snapshot_schedule = SnapshotSchedule(
            every_rows=snapshot_every_rows,
            every_seconds=snapshot_every_seconds,
            clock=self._read_clock,
        )
        self.memories = Memories()
        self.ownership = Ownership(self.accounts, self.memories, snapshot_schedule)
        self.source = KafkaSource(
            self.consumer.as_client(),
            TOPIC,
            self.ownership,
            incremental=False,
            on_rebalance=self.observation.show_rebalance,
        )
        self.replays: list[tuple[Partition, int, int]] = []
        self.input_records: list[StoredRecord] = []
        """The content of the input topic, for replays."""
        self.detectors = {version: detector(version) for version in versions}
        self.ledger_context = LedgerContext(
            "g", "g.ledger", 4, fingerprint, {}, max_sensors, silence_rule
        )
        self.restorer = MemoryRestorer(
            self.ownership,
            self.source,
            RestoreSources(
                self.state_topic.read, self._read_input, self._load_detector, fingerprint, 4
            ),
            on_restored=self.observation.show_restore,
            clock=self._read_clock,
        )

    def with_opened_account(self) -> "LoopRig":
        """Commit a new account of partition 0 and assign the partition; return the rig."""
        account = open_account(
            0,
            model_version=a_detector().version,
            fingerprint="f",
            window_rows=100,
            max_sensors=self.ledger_context.max_sensors,
            silence_rule=self.ledger_context.silence_rule,
        )
        self.consumer.commit_offset(0, 0, to_metadata(account))
        self.consumer.assign_partitions(0)
        self.restorer.step(self.wiring.detector)
        return self

    def run(self, stopping: Callable[[], bool] | None = None) -> None:
        """Run the loop until the consumer has no further step, or until `stopping` returns True."""
        run(self.wiring, self.policy, self.clock, stopping or (lambda: not self.consumer.steps))

    def stop(self, *, seconds: float = 2.0) -> None:
        """Do what a worker does after its loop has ended because of a signal."""
        write_final_snapshots(self.wiring, self.policy, self.clock, seconds=seconds)

    @property
    def wiring(self) -> Wiring:
        return Wiring(
            source=self.source,
            ownership=self.ownership,
            restorer=self.restorer,
            champion=cast("Champion", self.champion),
            policies=cast("PolicyFollower", self.policies),
            outbox=self.outbox,
            observation=self.observation,
            check_input=lambda: None,
            snapshot_deleter=cast("OldSnapshotDeleter", self.state_topic),
            row_executor=self.row_executor,
        )

    @property
    def policy(self) -> Policy:
        breaker = BreakerSettings(min_rows=10, window_rows=100, grace_seconds=2)
        return Policy(
            Settings(consumer=ConsumerSettings(breaker=breaker, emit=self.emit)),
            self.ledger_context,
            max_message_bytes=1_000_000,
            scores_topic=self.scores_topic,
        )

    @property
    def clock(self) -> Clock:
        return Clock(self._read_clock, wall=lambda: 1_735_689_600.0)

    def _read_input(
        self, partition: Partition, begin: int, end: int
    ) -> Iterator[list[StoredRecord]]:
        self.replays.append((partition, begin, end))
        records = [
            record
            for record in self.input_records
            if record.partition() == partition.number and begin <= record.stored_offset < end
        ]
        for start in range(0, len(records), 3):
            yield []
            yield records[start : start + 3]

    def _load_detector(self, version: str, policy: str) -> Detector:
        if version not in self.detectors or policy not in self.policies.stored:
            raise ModelRefused(f"no version {version}, or no policy {policy}")
        return self.detectors[version].under(self.policies.stored[policy])

    def metric(self, name: str, **labels: str) -> float | None:
        return self.metrics.get_sample_value(f"sensorwatch_{name}", labels)

    def _read_clock(self) -> float:
        self.now += self._clock_step_seconds
        return self.now


def stored_records(*values: bytes, first_offset: int = 0) -> list[StoredRecord]:
    return [StoredRecord(value, first_offset + number) for number, value in enumerate(values)]


def batch_steps(*values: bytes, first_offset: int = 0) -> list[ConsumeStep]:
    """Return steps of a FakeConsumer that give one micro-batch of these values."""
    records = stored_records(*values, first_offset=first_offset)
    return [records[:1], records[1:], *([[]] if len(records) > 1 else [])]


THREE_PAYLOADS = (a_payload(), a_payload(ANOMALOUS_VALUES), b"{")
