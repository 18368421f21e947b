from pathlib import Path

import pytest

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.protocol import Api
from tests.brokers.proxy import KafkaProxy, Loss
from tests.chaos.chaos_cluster import Stage

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(600)]

SWALLOWED = 10


def test_a_swallowed_answer_to_end_of_transaction_is_settled_by_the_committed_offsets(
    proxied_kafka: tuple[Kafka, KafkaProxy], tmp_path: Path
) -> None:
    """Ten times: the broker commits, the worker never hears of it, or only silence."""
    kafka, proxy = proxied_kafka
    short = {"SENSORWATCH__CONSUMER__COMMIT_DEADLINE_SECONDS": "3"}
    with Stage(kafka, tmp_path, settings=short) as stage, stage.load():
        worker = stage.worker(0)
        stage.expect_progress(2_000)
        for number in range(SWALLOWED):
            already = proxy.swallowed(Api.END_TXN)
            proxy.swallow(Api.END_TXN, loss=Loss.HOLD if number % 2 else Loss.CUT)
            wait_until(
                lambda already=already: proxy.swallowed(Api.END_TXN) > already,  # type: ignore[misc] # bound now
                deadline=30,
                what=f"answer {number} to be swallowed",
            )
            stage.expect_progress(1_000)
        assert proxy.swallowed(Api.END_TXN) >= SWALLOWED
        assert worker.running
        log = worker.log.read_text()
        assert log.count("outcome=unknown") >= SWALLOWED // 2, "silence must leave it unknown"


def test_a_broker_that_is_killed_and_comes_back_finds_everybody_where_they_were(
    own_kafka: Kafka, tmp_path: Path
) -> None:
    with Stage(own_kafka, tmp_path) as stage, stage.load():
        supervisor = stage.worker(0, "--workers", "2")
        stage.expect_progress(2_000)
        for _ in range(2):
            own_kafka.stop_hard()
            own_kafka.start_again()
            stage.expect_progress(2_000)
        assert supervisor.running
