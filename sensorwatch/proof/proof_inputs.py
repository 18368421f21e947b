"""Read what a replay proof needs from the broker and the registry."""

from functools import cache

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.kafka.state_topic import read_snapshot
from sensorwatch.common.kafka.topic_reader import read_topic, watermarks
from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.fingerprint import fingerprint
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.proof.replay_proof import ProofInputs


def connect_proof_inputs(settings: Settings, *, partitions: int | None = None) -> ProofInputs:
    """Return functions that read what a proof needs from the broker and the registry.

    `partitions`: number of partitions that the input topic had when the snapshots were written, or
    None if it is the current number. The functions raise BrokerUnavailable if the broker does not
    answer.
    """
    kafka, registry = settings.kafka, Registry(settings.registry.path)
    policies = PolicyRegistry(settings.registry.path, settings.registry.model)

    @cache
    def retained_offsets(topic: str) -> dict[int, tuple[int, int]]:
        return watermarks(kafka, topic)

    @cache
    def model(version: str) -> Detector:
        return registry.load(settings.registry.model, version).detector

    @cache
    def detector(version: str, policy: str) -> Detector:
        return model(version).under(policies.load(policy))

    def snapshot(partition: Partition, reference: SnapshotRef) -> Snapshot:
        return read_snapshot(
            kafka,
            settings.state_topic,
            reference,
            group=settings.consumer.group,
            source=partition,
            partitions=partitions or len(retained_offsets(partition.topic)),
        )

    return ProofInputs(
        fingerprint=fingerprint(),
        first_retained=lambda partition: retained_offsets(partition.topic)[partition.number][0],
        records=lambda interval: read_topic(
            kafka,
            interval.partition.topic,
            begin={interval.partition.number: interval.begin.next_offset},
            end={interval.partition.number: interval.end.next_offset},
        ),
        detector=detector,
        snapshot=snapshot,
    )
