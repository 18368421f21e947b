"""An in-memory consumer group that scores one partition and writes its ledger and snapshots."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from sensorwatch.common.errors import ModelRefused, StateRefused
from sensorwatch.common.kafka.ledger_text import LEDGER_VERSION, Cause, LedgerRecord
from sensorwatch.common.kafka.records import Partition, Record, coordinates
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import (
    Account,
    SnapshotRef,
    open_account,
    start_segment,
)
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.consumer.restoration import replay_records
from sensorwatch.proof.ledger_intervals import Finding, LedgerInterval, split_ledger
from sensorwatch.proof.replay_proof import ProofInputs, ReplayProof
from tests.kafka.record_builders import StoredRecord

OWN_FINGERPRINT = "aaaaaaaaaaaa"
OTHER_FINGERPRINT = "bbbbbbbbbbbb"
SOURCE = Partition("sensors", 0)


class LedgerGroup:
    """A consumer group that writes ledger records and snapshots as the real consumer does."""

    def __init__(
        self,
        detectors: Mapping[str, Detector],
        *,
        fingerprint: str = OWN_FINGERPRINT,
        max_sensors: int = MAX_SENSORS,
    ) -> None:
        self.detectors = dict(detectors)
        self.version = next(iter(detectors))
        self.policies: dict[str, AlarmPolicy | None] = {"": None}
        self.account = open_account(
            0, model_version=self.version, fingerprint=fingerprint, max_sensors=max_sensors
        )
        self.memory: Memory = self.detectors[self.version].empty_memory(max_sensors=max_sensors)
        self.input: list[StoredRecord] = []
        self.ledger: list[LedgerRecord] = []
        self.snapshots: dict[SnapshotRef, Snapshot] = {}
        self.read_snapshots: list[SnapshotRef] = []
        self._record(Cause.OPENED, self.account)

    def consume(self, records: Sequence[StoredRecord]) -> None:
        """Score records and add them to the account."""
        self.input += records
        self.account = replay_records(
            self.account,
            records,
            self.detectors[self.version].under(self.policies[self.account.policy]),
            self.memory,
        )

    def write_snapshot(self) -> None:
        """Write a snapshot of the memory, and a ledger record that names the snapshot."""
        self._write(Cause.INTERVAL, self.account, self.account)

    def change_version(self, version: str) -> None:
        """Replace the model version, and write this change to the ledger."""
        previous_account, self.version = self.account, version
        self.memory.adopt(self.detectors[version])
        self.account = replace(previous_account, model_version=version)
        self._write(Cause.MODEL, previous_account, self.account)

    def change_policy(self, policy: AlarmPolicy) -> None:
        """Adopt a policy, and write this change to the ledger."""
        previous_account, self.policies[policy.id] = self.account, policy
        self.account = replace(previous_account, policy=policy.id)
        self._write(Cause.POLICY, previous_account, self.account)

    def set_max_sensors(self, max_sensors: int) -> None:
        """Change the limit of sensors in the memory, and write this change to the ledger."""
        previous_account, self.memory.max_sensors = self.account, max_sensors
        self.account = replace(previous_account, max_sensors=max_sensors)
        self._write(Cause.INTERVAL, previous_account, self.account)

    def set_silence_rule(self, rule: SilenceRule) -> None:
        """Change the rule of silent sensors, and write this change to the ledger."""
        previous_account, self.memory.silence_rule = self.account, rule
        self.account = replace(previous_account, silence_rule=rule)
        self._write(Cause.INTERVAL, previous_account, self.account)

    def change_fingerprint(self, fingerprint: str) -> None:
        """Change the fingerprint of the code, which starts a new digest segment in the ledger."""
        previous_account = self.account
        self.account = start_segment(previous_account, fingerprint=fingerprint)
        self._write(Cause.SEGMENT, previous_account, self.account)

    def verify(self, *, first_retained: int = 0) -> list[Finding]:
        """Verify all intervals of the ledger in order; return a finding for each."""

        def records(interval: LedgerInterval) -> Iterator[Record]:
            first_offset, end_offset = interval.begin.next_offset, interval.end.next_offset
            return (
                record
                for record in self.input
                if first_offset <= coordinates(record).offset < end_offset
            )

        def detector(version: str, policy: str) -> Detector:
            if version not in self.detectors or policy not in self.policies:
                raise ModelRefused(f"no version {version}, or no policy {policy}")
            return self.detectors[version].under(self.policies[policy])

        def snapshot(_partition: Partition, snapshot_ref: SnapshotRef) -> Snapshot:
            self.read_snapshots.append(snapshot_ref)
            if snapshot_ref not in self.snapshots:
                raise StateRefused(f"no snapshot at {snapshot_ref}")
            return self.snapshots[snapshot_ref]

        replay_proof = ReplayProof(
            ProofInputs(OWN_FINGERPRINT, lambda _: first_retained, records, detector, snapshot)
        )
        return [
            replay_proof.verify(interval) for interval in split_ledger(self.ledger, self.account)
        ]

    def _write(self, cause: Cause, recorded_account: Account, committed_account: Account) -> None:
        snapshot_ref = SnapshotRef(len(self.snapshots), committed_account.next_offset)
        self.snapshots[snapshot_ref] = Snapshot(
            group="g",
            source=SOURCE,
            partitions=1,
            next_offset=committed_account.next_offset,
            model_version=self.version,
            account=committed_account,
            content=memory_to_bytes(self.memory),
        )
        self.account = replace(committed_account, snapshot=snapshot_ref)
        self._record(cause, replace(recorded_account, snapshot=snapshot_ref))

    def _record(self, cause: Cause, account: Account) -> None:
        source = SOURCE.topic, SOURCE.number
        self.ledger.append(LedgerRecord(LEDGER_VERSION, "g", *source, cause, account))
