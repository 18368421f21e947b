"""Killing one of three brokers ends no worker, and no record is lost or doubled."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from sensorwatch.common.kafka.records import Partition
from tests.brokers.child_processes import ChildProcess, last_lines
from tests.brokers.cluster import KafkaCluster
from tests.chaos.chaos_cluster import ChaosCluster

pytestmark = [
    pytest.mark.broker,
    pytest.mark.chaos,
    pytest.mark.long,
    pytest.mark.timeout(600),
]

ROWS_PER_SECOND = 300


def test_killing_leaders_and_coordinators_ends_no_worker(
    kafka_cluster: KafkaCluster, tmp_path: Path
) -> None:
    """The test kills the group's coordinator, then the coordinator of a worker's transactions."""
    with (
        ChaosCluster(kafka_cluster, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(rows_per_second=ROWS_PER_SECOND),
    ):
        run = chaos_cluster.run
        workers = [chaos_cluster.start_worker(number) for number in (0, 1)]
        chaos_cluster.expect_progress_of_all_partitions()
        coordinator_finders: list[Callable[[], int]] = [
            lambda: kafka_cluster.group_coordinator(run.group),
            lambda: kafka_cluster.transaction_coordinator(f"{run.group}.0.0"),
        ]
        for find_coordinator in coordinator_finders:
            broker = find_coordinator()
            assert broker in input_leaders(chaos_cluster, kafka_cluster), (
                "the killed broker must lead input partitions"
            )
            kafka_cluster.kill_broker(broker)
            chaos_cluster.expect_progress_of_all_partitions()
            assert find_coordinator() != broker
            assert_running(workers)
            kafka_cluster.start_broker(broker)
            kafka_cluster.wait_in_sync()
        chaos_cluster.expect_progress_of_all_partitions()
        assert_running(workers)


def assert_running(workers: Sequence[ChildProcess]) -> None:
    """Fail if a worker has ended, with the last lines of its log."""
    logs = [last_lines(worker.log) for worker in workers if not worker.running]
    assert not logs, "\n".join(logs)


def input_leaders(chaos_cluster: ChaosCluster, kafka_cluster: KafkaCluster) -> set[int]:
    """Return the numbers of the brokers that are leaders of input partitions."""
    topic = chaos_cluster.run.readings
    return {
        kafka_cluster.leader(Partition(topic, number)) for number in range(chaos_cluster.partitions)
    }
