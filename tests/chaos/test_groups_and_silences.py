"""Killed workers keep incidents, silences and policies, as the checker and the ledger prove."""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.kafka.ledger_text import Cause, ledger_record
from sensorwatch.common.kafka.records import header_value
from tests.brokers.kafka import Kafka
from tests.chaos.chaos_cluster import ChaosCluster
from tests.checker.topic_reader import read_committed
from tests.policy.policy_builders import a_policy

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(600)]

KILL_COUNT = 2
GROUPS = {"sensor-[01]?": "line-a", "sensor-2?": "line-b"}
SILENCE_SETTINGS = {
    "SENSORWATCH__SENSORS__SILENT_CHECK_SECONDS": "5",
    # The sensors send a row every 10 s, so one invalid row makes a sensor silent.
    "SENSORWATCH__SENSORS__SILENT_AFTER_SECONDS": "15",
}
FIRST_POLICY = a_policy(
    """
[[rule]]
name = "slow"
min_rows = 3

[[rule]]
name = "top"
signal = "x2"
high_limit = 2.5
severity = "major"
"""
)
SECOND_POLICY = a_policy(
    """
[[rule]]
name = "large"
sensor = "sensor-0*"
min_deviation = 50.0

[[window]]
name = "always"
sensor = "sensor-1*"
action = "suppress"
begin = 2000-01-01T00:00:00Z
end = 2100-01-01T00:00:00Z

[[silence]]
name = "slow sensors"
sensor = "sensor-2*"
silent_after = "25s"

[[silence]]
name = "spare sensors"
sensor = "sensor-3*"
silence = false
"""
)


def test_kill_9_loses_no_incident_no_silence_and_no_verdict_of_a_policy(
    kafka: Kafka, tmp_path: Path
) -> None:
    """A worker is killed again and again, also while it adopts another policy."""
    with ChaosCluster(
        kafka, tmp_path, partitions=2, settings=SILENCE_SETTINGS, groups=GROUPS
    ) as chaos_cluster:
        chaos_cluster.apply_policy(FIRST_POLICY)
        with chaos_cluster.running_load(rows_per_second=500):
            worker = chaos_cluster.start_worker(0)
            chaos_cluster.expect_progress(300)
            chaos_cluster.apply_policy(SECOND_POLICY)
            for _ in range(KILL_COUNT):
                worker.kill()
                worker = chaos_cluster.start_worker(0)
                chaos_cluster.expect_progress(300)
        chaos_cluster.verify_ledger()

        assert_run_had_every_kind(events_of(chaos_cluster))
        assert policies_in_the_ledger(chaos_cluster) == {FIRST_POLICY.id, SECOND_POLICY.id}


def events_of(chaos_cluster: ChaosCluster) -> list[tuple[str, Mapping[str, Any]]]:
    """Return type and content of each event of the run."""
    run = chaos_cluster.run
    return [
        ((header_value(message, "ce_type") or b"").decode(), json.loads(message.value() or b""))
        for message in read_committed(run.address, run.anomalies)
    ]


def assert_run_had_every_kind(events: list[tuple[str, Mapping[str, Any]]]) -> None:
    """Check that the run had incidents of several sensors, silences, and verdicts of both."""
    types = Counter(event_type for event_type, _ in events)
    assert types["io.sensorwatch.sensor.silent.v1"] > 10
    assert types["io.sensorwatch.sensor.back.v1"] > 10
    anomalies = [event for _, event in events if "suppressed_by" in event]
    assert {"slow", "large", "always"} <= {event["suppressed_by"] for event in anomalies}
    assert "top" in {event.get("limit_rule") for event in anomalies}
    sensors: dict[str, set[str]] = {}
    for event in anomalies:
        sensors.setdefault(event["incident_id"], set()).add(event["sensor_id"])
    assert max(map(len, sensors.values())) > 1, "no incident had several sensors"


def policies_in_the_ledger(chaos_cluster: ChaosCluster) -> set[str]:
    """Return the policies of the accounts before and after each adoption of a policy."""
    run = chaos_cluster.run
    messages = read_committed(run.address, run.ledger)
    ledger = [ledger_record(message.value()) for message in messages]
    before = {record.account.policy for record in ledger if record.cause is Cause.POLICY}
    return before | {policy for record in ledger if (policy := record.account.policy)}
