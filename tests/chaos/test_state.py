"""A worker refuses to start if its memory cannot be restored; `state reset` repairs the group."""

from pathlib import Path

import pytest
from confluent_kafka import Consumer, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import Fenced, StateRefused, UsageError
from sensorwatch.common.kafka.topics import extend_topic
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.chaos.chaos_cluster import START_SECONDS, ChaosCluster
from tests.checker.collecting import committed_offsets
from tests.checker.topic_reader import read_committed

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(300)]

RESET_COMMAND = ("state", "reset")
ROWS_PER_SECOND = 500


def expect_refusal(chaos_cluster: ChaosCluster, reason: str) -> None:
    """Check that a worker exits with code 8, logs `reason` and the remedy, and writes nothing."""
    old_offsets = committed_offsets(chaos_cluster.run)
    old_events = event_positions(chaos_cluster)
    worker = chaos_cluster.start_worker(0)
    assert worker.wait(deadline=START_SECONDS) == StateRefused.exit_code
    log = worker.log.read_text()
    assert reason in log
    assert "sensorwatch state reset" in log
    assert committed_offsets(chaos_cluster.run) == old_offsets
    assert event_positions(chaos_cluster) == old_events


def event_positions(chaos_cluster: ChaosCluster) -> list[tuple[int | None, int | None]]:
    def coordinates_of(message: Message) -> tuple[int | None, int | None]:
        return message.partition(), message.offset()

    return sorted(
        map(coordinates_of, read_committed(chaos_cluster.run.address, chaos_cluster.run.anomalies)),
        key=str,
    )


def expect_reset(chaos_cluster: ChaosCluster, *options: str) -> str:
    """Check that a reset changes offsets only with --yes; return the output of that reset."""
    old_offsets = committed_offsets(chaos_cluster.run)
    code, output = chaos_cluster.run_command(*RESET_COMMAND, *options)
    assert code == UsageError.exit_code, output
    assert "--yes" in output
    assert committed_offsets(chaos_cluster.run) == old_offsets
    code, output = chaos_cluster.run_command(*RESET_COMMAND, *options, "--yes")
    assert code == 0, output
    return output


def test_a_deleted_state_topic_is_refused_until_the_reset(kafka: Kafka, tmp_path: Path) -> None:
    with (
        ChaosCluster(kafka, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(rows_per_second=ROWS_PER_SECOND),
    ):
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
        code, output = chaos_cluster.run_command(*RESET_COMMAND, "--yes")
        assert code == UsageError.exit_code, output
        assert "has members" in output
        assert worker.terminate(deadline=15) == 0
        code, output = chaos_cluster.run_command("state", "show")
        assert code == 0, output
        assert output.count(next(iter(chaos_cluster.detectors))) == chaos_cluster.partitions

        admin = AdminClient({"bootstrap.servers": chaos_cluster.run.address})
        end_offsets = [
            TopicPartition(chaos_cluster.state_topic, number, -1)
            for number in range(chaos_cluster.partitions)
        ]
        for deletion in admin.delete_records(end_offsets).values():
            deletion.result()

        expect_refusal(chaos_cluster, "deleted")
        assert "lost memory cannot be read" in expect_reset(chaos_cluster)
        chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
    chaos_cluster.verify_ledger()


def test_an_offset_that_was_changed_by_hand_is_refused_until_the_reset(
    kafka: Kafka, tmp_path: Path
) -> None:
    with (
        ChaosCluster(kafka, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(rows_per_second=ROWS_PER_SECOND),
    ):
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
        assert worker.terminate(deadline=15) == 0
        offsets = committed_offsets(chaos_cluster.run)
        partition, offset = max(offsets.items(), key=lambda item: item[1])
        config = {
            "bootstrap.servers": chaos_cluster.run.address,
            "group.id": chaos_cluster.run.group,
        }
        with Consumer(config) as consumer:
            earlier_offset = TopicPartition(partition.topic, partition.number, offset - 10)
            consumer.commit(offsets=[earlier_offset], asynchronous=False)

        expect_refusal(chaos_cluster, "was changed by another program")
        options = ("--partition", str(partition.number), "--to", str(offset))
        output = expect_reset(chaos_cluster, *options)
        assert "sensors, which warm up again" in output
        assert output.count("a new account") == 1
        chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)


def test_added_partitions_are_refused_until_all_partitions_are_reset(
    kafka: Kafka, tmp_path: Path
) -> None:
    with (
        ChaosCluster(kafka, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(rows_per_second=ROWS_PER_SECOND),
    ):
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
        assert worker.terminate(deadline=15) == 0
        config = {"bootstrap.servers": chaos_cluster.run.address}
        extend_topic(config, chaos_cluster.run.readings, chaos_cluster.partitions + 1)

        expect_refusal(chaos_cluster, "5 partitions")
        output = expect_reset(chaos_cluster)
        assert f'"{chaos_cluster.state_topic}" gets 5 partitions' in output
        chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(3_000)


def test_a_frozen_worker_that_wakes_up_after_a_reset_is_fenced(
    kafka: Kafka, tmp_path: Path
) -> None:
    with (
        ChaosCluster(kafka, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(rows_per_second=ROWS_PER_SECOND),
    ):
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
        worker.freeze()
        wait_until(
            lambda: chaos_cluster.run_command(*RESET_COMMAND, "--yes")[0] == 0,
            deadline=60,
            what="the session of the frozen worker to end",
        )
        worker.thaw()
        assert worker.wait(deadline=30) == Fenced.exit_code
        chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_500)
    chaos_cluster.verify_ledger()
