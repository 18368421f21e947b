"""What a worker shows of its lag, read out of the client's statistics."""

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
        self.held = {ZERO: open_account(3, model_version="m", fingerprint="f")}

    def lag(self, *, passed: int, stable: int) -> float | None:
        """The lag shown after statistics, `passed` being the client's position."""
        partitions = {"0": {"app_offset": passed, "ls_offset": stable}}
        text = json.dumps({"topics": {TOPIC: {"partitions": partitions}}})
        self.observation.show_lag(text, self.held)
        labels = {"topic": TOPIC, "partition": "0"}
        return self.registry.get_sample_value("sensorwatch_consumer_lag_records", labels)


def test_the_lag_is_what_is_stable_and_not_committed() -> None:
    rig = Rig()

    assert rig.lag(passed=3, stable=10) == 7
    assert rig.lag(passed=3, stable=10) == 7


def test_a_marker_behind_the_last_record_is_no_lag_once_it_is_passed() -> None:
    rig = Rig()
    rig.lag(passed=4, stable=4)

    assert rig.lag(passed=4, stable=4) == 0
    assert rig.lag(passed=4, stable=9) == 5


def test_records_that_were_given_but_not_committed_yet_are_lag() -> None:
    rig = Rig()
    rig.lag(passed=3, stable=3)

    assert rig.lag(passed=10, stable=10) == 7


@pytest.mark.parametrize("how", ["went back", "held"])
def test_records_that_wait_for_their_commit_are_lag_however_long(how: str) -> None:
    rig = Rig()
    if how == "held":
        rig.observation.show_breaker("told by a test")
    else:
        rig.observation.show_rollback(MicroBatchAborted("told"), TransactionOutcome.ABORTED, 1)

    for _ in range(3):
        assert rig.lag(passed=10, stable=10) == 7


def test_a_client_without_a_position_shows_the_committed_offset() -> None:
    rig = Rig()

    for _ in range(3):
        assert rig.lag(passed=-1001, stable=4) == 1
