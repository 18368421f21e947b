"""The connected objects, the policy and the clocks that a worker's loop uses."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.policy_follower import PolicyFollower
from sensorwatch.common.row_executor import RowExecutor
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.publishing.outbox import Outbox
from sensorwatch.consumer.restoration import MemoryRestorer
from sensorwatch.consumer.settlement import LedgerContext
from sensorwatch.consumer.source import KafkaSource


@dataclass(frozen=True, slots=True)
class Wiring:
    """The connected objects that the loop calls."""

    source: KafkaSource
    ownership: Ownership
    restorer: MemoryRestorer
    champion: Champion
    policies: PolicyFollower
    outbox: Outbox
    observation: Observation
    check_input: Callable[[], None]
    """Raises OffsetsLost if the input topic was deleted and created again."""
    snapshot_deleter: OldSnapshotDeleter
    row_executor: RowExecutor
    """Divides the rows of a micro-batch among threads."""

    @property
    def detector(self) -> Detector:
        """The champion under the policy in force; it changes only at `refresh` of one of them."""
        return self.champion.current().under(self.policies.current())


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings and limits that the loop follows."""

    settings: Settings
    ledger_context: LedgerContext
    max_message_bytes: int
    """The largest size of a record that the producer accepts."""
    scores_topic: str | None = None
    """The topic of the score records; None if they are not published."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks that the loop reads."""

    monotonic: Callable[[], float] = time.monotonic
    """Returns monotonic seconds, for durations and deadlines."""
    wall: Callable[[], float] = time.time
    """Returns seconds since 1970 UTC, for timestamps."""
