"""What no memory can be restored from is refused, and the remedy it names works."""

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

RESET = ("state", "reset")
RATE = 500


def expect_refusal(chaos_cluster: ChaosCluster, why: str) -> None:
    """The worker leaves with exit code 8, says why, names the remedy, and has written nothing."""
    before = committed_offsets(chaos_cluster.run)
    events = written(chaos_cluster)
    worker = chaos_cluster.worker(0)
    assert worker.wait(deadline=START_SECONDS) == StateRefused.exit_code
    log = worker.log.read_text()
    assert why in log
    assert "sensorwatch state reset" in log
    assert committed_offsets(chaos_cluster.run) == before
    assert written(chaos_cluster) == events


def written(chaos_cluster: ChaosCluster) -> list[tuple[int | None, int | None]]:
    def place(message: Message) -> tuple[int | None, int | None]:
        return message.partition(), message.offset()

    return sorted(
        map(place, read_committed(chaos_cluster.run.address, chaos_cluster.run.anomalies)), key=str
    )


def expect_reset(chaos_cluster: ChaosCluster, *options: str) -> str:
    """Without --yes it only says what it would do; with it, it is done."""
    before = committed_offsets(chaos_cluster.run)
    code, said = chaos_cluster.command(*RESET, *options)
    assert code == UsageError.exit_code, said
    assert "--yes" in said
    assert committed_offsets(chaos_cluster.run) == before
    code, said = chaos_cluster.command(*RESET, *options, "--yes")
    assert code == 0, said
    return said


def test_a_state_that_was_deleted_is_refused_until_it_is_reset(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load(rate=RATE):
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
        code, said = chaos_cluster.command(*RESET, "--yes")
        assert code == UsageError.exit_code, said
        assert "has members" in said
        assert worker.terminate(deadline=15) == 0
        code, said = chaos_cluster.command("state", "show")
        assert code == 0, said
        assert said.count(next(iter(chaos_cluster.detectors))) == chaos_cluster.partitions

        admin = AdminClient({"bootstrap.servers": chaos_cluster.run.address})
        ends = [
            TopicPartition(chaos_cluster.state, number, -1)
            for number in range(chaos_cluster.partitions)
        ]
        for answer in admin.delete_records(ends).values():
            answer.result()

        expect_refusal(chaos_cluster, "deleted")
        assert "lost memory cannot be read" in expect_reset(chaos_cluster)
        chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
    chaos_cluster.verify()


def test_an_offset_that_was_moved_by_hand_is_refused_until_it_is_reset(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load(rate=RATE):
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
        assert worker.terminate(deadline=15) == 0
        moved = max(committed_offsets(chaos_cluster.run).items(), key=lambda one: one[1])
        partition, offset = moved
        config = {
            "bootstrap.servers": chaos_cluster.run.address,
            "group.id": chaos_cluster.run.group,
        }
        with Consumer(config) as consumer:
            back = TopicPartition(partition.topic, partition.number, offset - 10)
            consumer.commit(offsets=[back], asynchronous=False)

        expect_refusal(chaos_cluster, "was moved from outside")
        only = ("--partition", str(partition.number), "--to", str(offset))
        said = expect_reset(chaos_cluster, *only)
        assert "sensors, which warm up again" in said
        assert said.count("a new account") == 1
        chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)


def test_partitions_that_were_added_are_refused_until_all_are_reset(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load(rate=RATE):
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
        assert worker.terminate(deadline=15) == 0
        config = {"bootstrap.servers": chaos_cluster.run.address}
        extend_topic(config, chaos_cluster.run.readings, chaos_cluster.partitions + 1)

        expect_refusal(chaos_cluster, "5 partitions")
        said = expect_reset(chaos_cluster)
        assert f'"{chaos_cluster.state}" gets 5 partitions' in said
        chaos_cluster.worker(0)
        chaos_cluster.expect_progress(3_000)


def test_a_frozen_worker_that_wakes_up_after_a_reset_is_fenced(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load(rate=RATE):
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
        worker.freeze()
        wait_until(
            lambda: chaos_cluster.command(*RESET, "--yes")[0] == 0,
            deadline=60,
            what="the session of the frozen worker to end",
        )
        worker.thaw()
        assert worker.wait(deadline=30) == Fenced.exit_code
        chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_500)
    chaos_cluster.verify()
