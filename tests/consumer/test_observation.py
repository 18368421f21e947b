"""The lag that a worker shows from the client's statistics."""

import json

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import MicroBatchAborted
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.metrics import ConsumerMetrics, TransactionOutcome
from sensorwatch.consumer.observation import Observation

TOPIC = "sensors"
ZERO = Partition(TOPIC, 0)


class Rig:
    """An observation of one partition, whose committed offset is 3."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        metrics = ConsumerMetrics(self.registry, topic=TOPIC)
        self.observation = Observation(metrics, topic=TOPIC, stuck_after_seconds=60)
        self.accounts = {ZERO: open_account(3, model_version="m", fingerprint="f")}

    def lag(self, *, position: int, stable: int) -> float | None:
        """Return the lag after statistics with this position and last stable offset."""
        partitions = {"0": {"app_offset": position, "ls_offset": stable}}
        text = json.dumps({"topics": {TOPIC: {"partitions": partitions}}})
        self.observation.show_lag(text, self.accounts)
        labels = {"topic": TOPIC, "partition": "0"}
        return self.registry.get_sample_value("sensorwatch_consumer_lag_records", labels)


def test_the_lag_is_the_last_stable_minus_the_committed_offset() -> None:
    rig = Rig()

    assert rig.lag(position=3, stable=10) == 7
    assert rig.lag(position=3, stable=10) == 7


def test_a_marker_after_the_last_record_is_no_lag_once_the_position_is_behind_it() -> None:
    rig = Rig()
    rig.lag(position=4, stable=4)

    assert rig.lag(position=4, stable=4) == 0
    assert rig.lag(position=4, stable=9) == 5


def test_consumed_records_that_are_not_committed_are_lag() -> None:
    rig = Rig()
    rig.lag(position=3, stable=3)

    assert rig.lag(position=10, stable=10) == 7


@pytest.mark.parametrize("cause", ["rolled back", "breaker open"])
def test_records_that_wait_for_their_commit_stay_lag(cause: str) -> None:
    rig = Rig()
    if cause == "breaker open":
        rig.observation.show_breaker("too many rejections")
    else:
        rig.observation.show_rollback(MicroBatchAborted("injected"), TransactionOutcome.ABORTED, 1)

    for _ in range(3):
        assert rig.lag(position=10, stable=10) == 7


def test_without_a_position_of_the_client_the_committed_offset_counts() -> None:
    rig = Rig()

    for _ in range(3):
        assert rig.lag(position=-1001, stable=4) == 1
