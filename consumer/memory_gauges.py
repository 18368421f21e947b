"""The metrics of a partition's memory that have a value for each partition."""

from contextlib import suppress

import numpy as np

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.runtime.metrics import MemoryMetrics
from sensorwatch.common.scoring.clock_skew import MAX_SKEW_SECONDS, clock_skews
from sensorwatch.common.scoring.detections import SEVERITIES
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET
from sensorwatch.common.scoring.open_episodes import count_open_episodes
from sensorwatch.common.scoring.silence_rule import SilenceColumn
from sensorwatch.common.scoring.silent_sensors import silent_slots
from sensorwatch.common.scoring.staleness import StalenessColumn


def show_memory(
    metrics: MemoryMetrics, partition: Partition, memory: Memory, policy: AlarmPolicy | None
) -> None:
    """Set the metrics of a partition from its memory; `policy`: the policy in force."""
    labels = partition.topic, partition.number
    metrics.sensors.labels(*labels).set(memory.sensors)
    metrics.model_stale.labels(*labels).set(memory.staleness[StalenessColumn.IS_STALE])
    metrics.silent_sensors.labels(*labels).set(len(silent_slots(memory, policy)))
    is_skewed = np.abs(clock_skews(memory)) > MAX_SKEW_SECONDS
    metrics.skewed_sensors.labels(*labels).set(int(np.count_nonzero(is_skewed)))
    event_time = memory.silence[SilenceColumn.EVENT_TIME]
    if event_time != NO_ROW_YET:
        metrics.event_time.labels(*labels).set(event_time / 1e6)


def show_open_episodes(
    metrics: MemoryMetrics, partition: Partition, memory: Memory, alarm_rates: AlarmRates
) -> None:
    """Count the open episodes of a partition; `alarm_rates`: those of the memory's model."""
    counts = count_open_episodes(memory, alarm_rates).tolist()
    for severity, count in zip(SEVERITIES[1:], counts[1:], strict=True):
        metrics.open_episodes.labels(partition.topic, partition.number, severity).set(count)


def forget_memory(metrics: MemoryMetrics, partition: Partition) -> None:
    """Remove the values of a partition that was revoked."""
    labels = partition.topic, partition.number
    for gauge in (
        metrics.sensors,
        metrics.model_stale,
        metrics.silent_sensors,
        metrics.skewed_sensors,
        metrics.event_time,
    ):
        with suppress(KeyError):  # the gauge had no value for this partition
            gauge.remove(*labels)
    for severity in SEVERITIES[1:]:
        with suppress(KeyError):
            metrics.open_episodes.remove(*labels, severity)
