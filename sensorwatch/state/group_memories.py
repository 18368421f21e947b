"""Restore the memories of a consumer group as of its committed offsets, without joining it."""

from collections.abc import Generator, Iterator, Sequence

from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.topic_reader import read_topic_batches
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.consumer.restoration import RestoreSources, restore_memory
from sensorwatch.proof.replay_proof import ProofInputs


def restored_memory(
    settings: Settings, partition: Partition, account: Account, inputs: ProofInputs, partitions: int
) -> Memory:
    """Return the memory that belongs to a committed account.

    The newest snapshot is read, and the input since the snapshot is scored again. `partitions`:
    number of input partitions. Raises StateRefused or ModelRefused if the memory cannot be
    restored.
    """

    def read_records(
        partition: Partition, start_offset: int, end_offset: int
    ) -> Iterator[Sequence[Record]]:
        return read_topic_batches(
            settings.kafka,
            partition.topic,
            begin={partition.number: start_offset},
            end={partition.number: end_offset},
        )

    sources = RestoreSources(
        inputs.snapshot, read_records, inputs.detector, inputs.fingerprint, partitions
    )
    detector = inputs.detector(account.model_version, account.policy)
    return _result(restore_memory(partition, account, detector, sources))


def _result(steps: Generator[None, None, Memory]) -> Memory:
    try:
        while True:
            next(steps)
    except StopIteration as result:
        memory: Memory = result.value
        return memory
