"""If answers are lost or the broker is killed, workers neither lose nor double a record."""

import time
from pathlib import Path

import pytest
from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient

from sensorwatch.common.kafka.client_config import client_config
from sensorwatch.common.kafka.silent_logger import silent_logger
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.protocol import Api
from tests.brokers.proxy import KafkaProxy, Loss
from tests.chaos.chaos_cluster import ChaosCluster

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(600)]

LOST_ANSWER_COUNT = 10


def test_after_a_lost_answer_to_a_commit_the_worker_reads_the_committed_offsets(
    proxied_kafka: tuple[Kafka, KafkaProxy], tmp_path: Path
) -> None:
    """The broker commits ten transactions whose answers to the worker are lost."""
    kafka, proxy = proxied_kafka
    short_deadline = {"SENSORWATCH__CONSUMER__COMMIT_DEADLINE_SECONDS": "3"}
    with (
        ChaosCluster(kafka, tmp_path, settings=short_deadline) as chaos_cluster,
        chaos_cluster.running_load(),
    ):
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_000)
        for answer_number in range(LOST_ANSWER_COUNT):
            old_count = proxy.lost_answers(Api.END_TXN)
            proxy.lose_answers(
                Api.END_TXN,
                loss=Loss.OPEN_CONNECTION if answer_number % 2 else Loss.CLOSED_CONNECTION,
            )
            wait_until(
                lambda old_count=old_count: proxy.lost_answers(Api.END_TXN) > old_count,  # type: ignore[misc] # a default binds the value
                deadline=30,
                what=f"answer {answer_number} to be lost",
            )
            chaos_cluster.expect_progress(1_000)
        assert proxy.lost_answers(Api.END_TXN) >= LOST_ANSWER_COUNT
        assert worker.running
        log = worker.log.read_text()
        assert log.count("outcome=unknown") >= LOST_ANSWER_COUNT // 2, (
            "without an answer the outcome must be unknown"
        )


def test_workers_survive_a_broker_that_is_killed_and_restarted(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(own_kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        supervisor = chaos_cluster.start_worker(0, "--workers", "2")
        chaos_cluster.expect_progress(2_000)
        for _ in range(2):
            own_kafka.kill()
            own_kafka.restart()
            chaos_cluster.expect_progress(2_000)
        assert supervisor.running


def test_an_admin_client_with_an_open_request_is_idle_while_no_broker_answers(
    own_kafka: Kafka,
) -> None:
    """With `metadata.recovery.strategy = none` such a client used more than half of a core."""
    topic = own_kafka.create_topic("described", 1)
    admin = AdminClient(
        client_config({"bootstrap.servers": own_kafka.address}), logger=silent_logger()
    )
    admin.list_topics(timeout=10)
    own_kafka.kill()
    try:
        time.sleep(2.0)  # until the client has noticed that the connection is lost
        answer = admin.describe_topics(TopicCollection([topic]), request_timeout=60)[topic]
        cpu_before = time.process_time()
        time.sleep(3.0)
        cpu_seconds = time.process_time() - cpu_before
        assert not answer.done()
    finally:
        own_kafka.restart()
    assert cpu_seconds < 0.5
    assert answer.result(timeout=30).topic_id is not None, "the client connects again"
