"""The trial of a policy on the recent records of a topic of a real Kafka."""

import json
from pathlib import Path

import pytest

from tests.brokers.kafka import Kafka
from tests.commands.command_runner import run_in_process
from tests.consumer.sandbox import Sandbox
from tests.kafka.record_builders import a_payload
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES

pytestmark = pytest.mark.broker

PAYLOADS = [
    a_payload(
        ANOMALOUS_VALUES if number % 4 in (1, 2) else NORMAL_VALUES,
        timestamp=f"2024-12-31T23:{number:02}:00Z",
    )
    for number in range(12)
]


def test_the_trial_reads_the_records_since_a_time_from_every_partition(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = Sandbox(kafka.address, tmp_path).with_model()
    kafka.create_topic(sandbox.readings, sandbox.topics[sandbox.readings])
    sandbox.send_payloads(PAYLOADS, partition=0)
    sandbox.send_payloads(PAYLOADS, partition=3)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    (tmp_path / "policy.toml").write_text('[[rule]]\nname = "huge"\nmin_deviation = 1000\n')

    result = run_in_process(
        "rules", "try", "policy.toml", "--since", "1d", "--json", folder=tmp_path
    )
    too_late = run_in_process(
        "rules", "try", "policy.toml", "--since", "2099-01-01T00:00:00Z", folder=tmp_path
    )

    assert result.code == 0, result.err
    counts = json.loads(result.out)
    assert (counts["rows"], counts["after"]["episodes"]["info"]) == (24, 6)
    assert counts["before"]["episodes"]["info"] < 6
    assert counts["after"]["suppressed"]["huge"] > 0
    assert (too_late.code, "give an earlier --since" in too_late.err) == (2, True)
