"""A worker computes its lag from the client's statistics and the committed offset."""

import json

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.common.errors import MicroBatchAborted
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.metrics import ConsumerMetrics, TransactionOutcome
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.common.scoring.staleness import StalenessColumn
from sensorwatch.consumer.observation import Observation
from tests.policy.policy_builders import a_policy
from tests.publishing.test_episode_events import a_row_payload
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, START_TIME, a_detector

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
    detector = a_detector()
    memory = detector.empty_memory()
    labels = {"topic": TOPIC, "partition": "0"}

    def shown() -> float | None:
        rig.observation.show_commit({PARTITION_0: memory}, [], detector)
        return rig.registry.get_sample_value("sensorwatch_model_stale", labels)

    assert shown() == 0.0
    memory.staleness[StalenessColumn.IS_STALE] = 1.0
    assert shown() == 1.0
    rig.observation.show_rebalance("revoked", [PARTITION_0])
    assert rig.registry.get_sample_value("sensorwatch_model_stale", labels) is None


def test_silent_sensors_and_open_episodes_are_metrics_of_their_partition() -> None:
    """Sensor b is silent from minute 11 on, and sensor a has an alarm until minute 15."""
    rig, detector = ObservationRig(), a_detector()
    memory = detector.empty_memory(silence_rule=SilenceRule(check_seconds=60, after_seconds=600))
    payloads = [a_row_payload("b", 0)]
    payloads += [
        a_row_payload("a", minute, ANOMALOUS_VALUES if 12 <= minute < 15 else NORMAL_VALUES)
        for minute in range(20)
    ]
    labels = {"topic": TOPIC, "partition": "0"}
    shown: list[tuple[float | None, float]] = []

    for end in (10, 14, 21):
        process(payloads[:end][memory.position :], detector, memory)
        rig.observation.show_commit({PARTITION_0: memory}, [], detector)
        open_episodes = sum(
            rig.registry.get_sample_value("sensorwatch_open_episodes", labels | {"severity": name})
            or 0.0
            for name in ("info", "warning", "major", "critical")
        )
        silent_sensors = rig.registry.get_sample_value("sensorwatch_silent_sensors", labels)
        shown.append((silent_sensors, open_episodes))

    assert shown == [(0.0, 0.0), (1.0, 1.0), (1.0, 0.0)]
    policy = a_policy('[[silence]]\nname = "spare"\nsensor = "b"\nsilence = false')
    rig.observation.show_commit({PARTITION_0: memory}, [], detector.under(policy))
    assert rig.registry.get_sample_value("sensorwatch_silent_sensors", labels) == 0
    event_time = rig.registry.get_sample_value("sensorwatch_partition_event_time_seconds", labels)
    assert event_time == START_TIME / 1e6 + 19 * 60
    rig.observation.show_rebalance("revoked", [PARTITION_0])
    names = ("silent_sensors", "partition_event_time_seconds")
    assert {rig.registry.get_sample_value(f"sensorwatch_{name}", labels) for name in names} == {
        None
    }
