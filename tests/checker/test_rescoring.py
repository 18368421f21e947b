"""Scoring a partition again gives the expected outcomes."""

from dataclasses import replace

from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from tests.checker.rescoring import rescore
from tests.checker.run_history import RecordOutcome
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector

ROW_VALUES = (NORMAL_VALUES, ANOMALOUS_VALUES, ANOMALOUS_VALUES, NORMAL_VALUES)
RECORDS = [
    StoredRecord(a_payload(values, timestamp=f"2025-01-01T00:00:0{number}Z"), number)
    for number, values in enumerate(ROW_VALUES)
]


def test_every_anomaly_has_an_event_unless_emit_is_episodes() -> None:
    detectors = {"default-0001-00000000": a_detector()}
    all_events = rescore(RECORDS, None, [], detectors)
    first_events = rescore(RECORDS, None, [], detectors, EmittedEvents.EPISODES)

    for expected_output, has_event in ((all_events, [True, True]), (first_events, [True, False])):
        anomalies = [
            outcome
            for outcome in expected_output.expected_outcomes
            if outcome.record_outcome is RecordOutcome.ANOMALY
        ]
        assert [outcome.offset for outcome in anomalies] == [1, 2]
        assert [outcome.has_event for outcome in anomalies] == has_event
        assert [(outcome.value is not None) for outcome in anomalies] == has_event
    assert all_events.episode_ends == first_events.episode_ends
    (episode_end,) = all_events.episode_ends
    assert (episode_end.episode, episode_end.offset, episode_end.key) == (1, 3, b"pump-7")


def test_an_account_that_was_opened_again_starts_with_a_cold_memory() -> None:
    """The new account at offset 2 does not continue the episode that began at offset 1."""
    version = "default-0001-00000000"
    first_account = open_account(0, model_version=version, fingerprint="f")
    second_account = open_account(2, model_version=version, fingerprint="f")
    ledger = [
        LedgerRecord(1, "g", "sensors", 0, cause, account)
        for cause, account in (
            (Cause.OPENED, first_account),
            (Cause.CLOSED, replace(first_account, next_offset=2, consumed=2)),
            (Cause.OPENED, second_account),
        )
    ]

    expected_output = rescore(
        RECORDS, replace(second_account, next_offset=4), ledger, {version: a_detector()}
    )

    assert [outcome.offset for outcome in expected_output.expected_outcomes] == [0, 1, 2, 3]
    assert [(end.episode, end.offset) for end in expected_output.episode_ends] == [(2, 3)]


def test_the_memory_has_the_max_sensors_of_the_account() -> None:
    """With `max_sensors` 1, a row of another sensor ends the episode of the first sensor."""
    version = "default-0001-00000000"
    other_sensor_record = StoredRecord(
        a_payload(NORMAL_VALUES, timestamp="2025-01-01T00:00:09Z", sensor_id="b"), 9
    )
    account = open_account(0, model_version=version, fingerprint="f", max_sensors=1)

    expected_output = rescore(
        [*RECORDS[:3], other_sensor_record], account, [], {version: a_detector()}
    )

    assert [(end.episode, end.offset) for end in expected_output.episode_ends] == [(1, 9)]
