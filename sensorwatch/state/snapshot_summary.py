"""Summarize the newest snapshot of a partition's memory."""

from dataclasses import dataclass

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes
from sensorwatch.common.scoring.memory_layout import IntColumn
from sensorwatch.proof.replay_proof import ProofInputs


@dataclass(frozen=True, slots=True)
class SnapshotSummary:
    """A summary of the contents of a snapshot."""

    next_offset: int
    """Offset of the first record that is not in the memory."""
    model_version: str
    sensors: int
    open_episodes: int
    warming_up: int
    """Number of sensors that do not yet have enough rows for a level of their own."""
    bytes: int


def summarize_snapshot(
    partition: Partition, account: Account | None, inputs: ProofInputs
) -> SnapshotSummary | None:
    """Return the summary of an account's newest snapshot, or None if it has no snapshot.

    Raises StateRefused or ModelRefused if the snapshot cannot be read.
    """
    if account is None or account.snapshot is None:
        return None
    snapshot = inputs.snapshot(partition, account.snapshot)
    detector = inputs.detector(snapshot.model_version, "")
    memory = memory_from_bytes(snapshot.content, detector)
    sensor_columns = memory.ints[: memory.sensors]
    return SnapshotSummary(
        next_offset=snapshot.next_offset,
        model_version=snapshot.model_version,
        sensors=memory.sensors,
        open_episodes=int(np.count_nonzero(sensor_columns[:, IntColumn.EPISODE_ROWS])),
        warming_up=int(
            np.count_nonzero(sensor_columns[:, IntColumn.LEVEL_ROWS] < memory.layout.min_rows)
        ),
        bytes=len(snapshot.content),
    )
