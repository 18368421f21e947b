"""A worker computes its lag from the client's statistics and the committed offset."""

import json

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import MicroBatchAborted
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.metrics import ConsumerMetrics, TransactionOutcome
from sensorwatch.common.scoring.staleness import StalenessColumn
from sensorwatch.consumer.observation import Observation
from tests.reading_builders import a_detector

TOPIC = "sensors"
PARTITION_0 = Partition(TOPIC, 0)


class ObservationRig:
    """An observation of one partition whose committed offset is 3."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        metrics = ConsumerMetrics(self.registry, topic=TOPIC)
        self.observation = Observation(metrics, topic=TOPIC, stuck_after_seconds=60)
        self.accounts = {PARTITION_0: open_account(3, model_version="m", fingerprint="f")}

    def updated_lag(self, *, position: int, last_stable: int) -> float | None:
        """Report statistics with this position and last stable offset; return the lag metric."""
        partitions = {"0": {"app_offset": position, "ls_offset": last_stable}}
        statistics_text = json.dumps({"topics": {TOPIC: {"partitions": partitions}}})
        self.observation.show_lag(statistics_text, self.accounts)
        labels = {"topic": TOPIC, "partition": "0"}
        return self.registry.get_sample_value("sensorwatch_consumer_lag_records", labels)


def test_the_lag_is_the_last_stable_minus_the_committed_offset() -> None:
    rig = ObservationRig()

    assert rig.updated_lag(position=3, last_stable=10) == 7
    assert rig.updated_lag(position=3, last_stable=10) == 7


def test_a_transaction_marker_before_the_position_does_not_count_as_lag() -> None:
    rig = ObservationRig()
    rig.updated_lag(position=4, last_stable=4)

    assert rig.updated_lag(position=4, last_stable=4) == 0
    assert rig.updated_lag(position=4, last_stable=9) == 5


def test_consumed_records_without_a_commit_count_as_lag() -> None:
    rig = ObservationRig()
    rig.updated_lag(position=3, last_stable=3)

    assert rig.updated_lag(position=10, last_stable=10) == 7


@pytest.mark.parametrize("cause", ["rolled back", "breaker open"])
def test_records_that_wait_for_their_commit_count_as_lag(cause: str) -> None:
    rig = ObservationRig()
    if cause == "breaker open":
        rig.observation.show_breaker("too many rejections")
    else:
        rig.observation.show_rollback(MicroBatchAborted("injected"), TransactionOutcome.ABORTED, 1)

    for _ in range(3):
        assert rig.updated_lag(position=10, last_stable=10) == 7


def test_without_a_position_the_lag_starts_at_the_committed_offset() -> None:
    rig = ObservationRig()

    for _ in range(3):
        assert rig.updated_lag(position=-1001, last_stable=4) == 1


def test_a_stale_model_is_a_metric_of_its_partition() -> None:
    rig = ObservationRig()
    memory = a_detector().empty_memory()
    labels = {"topic": TOPIC, "partition": "0"}

    def shown() -> float | None:
        rig.observation.show_commit({PARTITION_0: memory}, [])
        return rig.registry.get_sample_value("sensorwatch_model_stale", labels)

    assert shown() == 0.0
    memory.staleness[StalenessColumn.IS_STALE] = 1.0
    assert shown() == 1.0
    rig.observation.show_rebalance("revoked", [PARTITION_0])
    assert rig.registry.get_sample_value("sensorwatch_model_stale", labels) is None
