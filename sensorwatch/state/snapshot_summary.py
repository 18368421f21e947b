"""What a group's memory of a partition holds, by the snapshot that its ledger names."""

from dataclasses import dataclass

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes
from sensorwatch.common.scoring.memory_layout import IntColumn
from sensorwatch.proof.replay_proof import ProofInputs


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """The memory of a partition as it was written down."""

    next_offset: int
    """The first record that it knows nothing of."""
    model_version: str
    sensors: int
    open_episodes: int
    warming_up: int
    """Sensors whose level is not learned yet."""
    bytes: int


def inventory(
    partition: Partition, account: Account | None, evidence: ProofInputs
) -> SnapshotSummary | None:
    """Count what the snapshot of an account holds; None: nothing has been written down of it.

    Raises StateRefused or ModelRefused where it cannot be read.
    """
    if account is None or account.snapshot is None:
        return None
    snapshot_found = evidence.snapshot(partition, account.snapshot)
    detector = evidence.detector(snapshot_found.model_version)
    memory = memory_from_bytes(snapshot_found.content, detector)
    ints = memory.ints[: memory.sensors]
    return SnapshotSummary(
        next_offset=snapshot_found.next_offset,
        model_version=snapshot_found.model_version,
        sensors=memory.sensors,
        open_episodes=int(np.count_nonzero(ints[:, IntColumn.EPISODE_ROWS])),
        warming_up=int(np.count_nonzero(ints[:, IntColumn.LEVEL_ROWS] < memory.layout.min_rows)),
        bytes=len(snapshot_found.content),
    )
