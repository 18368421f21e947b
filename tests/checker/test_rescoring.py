"""What scoring a partition again says that must be there."""

from dataclasses import replace

from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.setting_keys import Emit
from tests.checker.rescoring import rescore
from tests.checker.run_history import RecordOutcome
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS, NORMAL, a_detector

ROWS = (NORMAL, ANOMALOUS, ANOMALOUS, NORMAL)
RECORDS = [
    StoredRecord(a_payload(values, timestamp=f"2025-01-01T00:00:0{number}Z"), number)
    for number, values in enumerate(ROWS)
]


def test_every_anomaly_has_its_event_unless_only_episodes_are_told() -> None:
    detectors = {"default-0001-00000000": a_detector()}
    every = rescore(RECORDS, None, [], detectors)
    fewer = rescore(RECORDS, None, [], detectors, Emit.EPISODES)

    for found, has_event in ((every, [True, True]), (fewer, [True, False])):
        anomalies = [one for one in found.expected if one.record_outcome is RecordOutcome.ANOMALY]
        assert [one.offset for one in anomalies] == [1, 2]
        assert [one.has_event for one in anomalies] == has_event
        assert [(one.value is not None) for one in anomalies] == has_event
    assert every.episode_ends == fewer.episode_ends
    (episode_end,) = every.episode_ends
    assert (episode_end.episode, episode_end.offset, episode_end.key) == (1, 3, b"pump-7")


def test_an_account_that_was_opened_anew_begins_with_a_cold_memory() -> None:
    """The episode of offset 1 has no end then, and that of offset 2 is another one."""
    version = "default-0001-00000000"
    first = open_account(0, model_version=version, fingerprint="f")
    second = open_account(2, model_version=version, fingerprint="f")
    ledger = [
        LedgerRecord(1, "g", "sensors", 0, cause, account)
        for cause, account in (
            (Cause.OPENED, first),
            (Cause.CLOSED, replace(first, next_offset=2, consumed=2)),
            (Cause.OPENED, second),
        )
    ]

    found = rescore(RECORDS, replace(second, next_offset=4), ledger, {version: a_detector()})

    assert [one.offset for one in found.expected] == [0, 1, 2, 3]
    assert [(one.episode, one.offset) for one in found.episode_ends] == [(2, 3)]


def test_the_memory_is_bounded_as_the_account_says() -> None:
    """With one sensor at the most, another one's row ends the episode of the first."""
    version = "default-0001-00000000"
    other = StoredRecord(a_payload(NORMAL, timestamp="2025-01-01T00:00:09Z", sensor_id="b"), 9)
    account = open_account(0, model_version=version, fingerprint="f", max_sensors=1)

    found = rescore([*RECORDS[:3], other], account, [], {version: a_detector()})

    assert [(one.episode, one.offset) for one in found.episode_ends] == [(1, 9)]
