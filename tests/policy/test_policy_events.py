"""The fields of events that come from a policy."""

import json
from functools import cache
from pathlib import Path

import numpy as np
from jsonschema import Draft202012Validator

from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.policy.policy_builders import a_policy
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

SCHEMAS = Path(__file__).parents[2] / "schemas"
SCHEMA_OF_TYPE = {
    EventType.DETECTED: "anomaly-event",
    EventType.RAISED: "episode-raised",
    EventType.CLOSED: "episode-closed",
}
POLICY = a_policy(
    """
[[rule]]
name = "limit of x1"
signal = "x1"
high_limit = 0.5
severity = "major"
[[rule]]
name = "huge"
min_deviation = 1000
[[window]]
name = "visit"
action = "annotate"
begin = 2024-12-31T23:02:00Z
end = 2024-12-31T23:03:00Z
"""
)
ROWS = [(0.0, 0.0, 0.0), (0.6, 0.0, 0.0), (0.7, 0.0, 0.0), (0.0, 0.0, 0.0), (0.4, 9.0, 9.0)]
RECORDS = [
    StoredRecord(a_payload(values, timestamp=f"2024-12-31T23:{number:02}:00Z"), number)
    for number, values in enumerate([*ROWS, (0.0, 0.0, 0.0), ANOMALOUS_VALUES])
]


@cache
def events() -> dict[str, dict[str, object]]:
    """Return the events by id, after checking each by its JSON Schema."""
    detector = a_detector().under(POLICY)
    outcome: Outcome = process(
        [record.value() for record in RECORDS],
        detector,
        detector.empty_memory(),
        positions=np.arange(len(RECORDS)),
    )
    messages = anomaly_events(outcome, detector, RECORDS, topic="anomalies", detected_at="")
    events_by_id = {}
    for message in messages:
        event = json.loads(message.value or b"")
        name = SCHEMA_OF_TYPE[EventType(dict(message.headers)["ce_type"].decode())]  # type: ignore[union-attr]  # never None
        schema = json.loads((SCHEMAS / f"{name}.v2.json").read_text(encoding="utf-8"))
        Draft202012Validator(schema).validate(event)
        assert set(event) == set(schema["properties"])
        events_by_id[event["event_id"]] = event
    return events_by_id


def test_a_row_beyond_a_limit_has_an_event_with_cause_rule_and_sentence() -> None:
    event = events()["sensors-0-1"]

    assert (event["cause"], event["limit_rule"], event["severity"]) == (
        "limit",
        "limit of x1",
        "major",
    )
    assert event["message"] == "x1 is 0.6, above its limit of 0.5 (rule limit of x1)"
    assert (event["suppressed"], event["suppressed_by"], event["window"]) == ("none", "", "")
    assert isinstance(event["anomaly_score"], float)
    assert event["anomaly_score"] < 1.0


def test_a_window_annotates_only_the_rows_in_it() -> None:
    assert {event_id: event["window"] for event_id, event in events().items() if "window" in event}[
        "sensors-0-2"
    ] == "visit"
    assert events()["sensors-0-1"]["window"] == ""


def test_a_suppressed_episode_names_its_rule_up_to_its_end() -> None:
    event, closed = events()["sensors-0-4"], events()["sensors-0-4-closed"]

    assert (event["cause"], event["limit_rule"]) == ("model", "")
    for suppressed_event in (event, closed):
        assert suppressed_event["suppressed"] == "rule"
        assert suppressed_event["suppressed_by"] == "huge"
        assert suppressed_event["severity"] == "info"
    assert events()["sensors-0-1-closed"]["suppressed_by"] == ""


def test_a_limit_that_is_broken_again_soon_is_a_repeat_and_not_suppressed_by_a_rule() -> None:
    event = events()["sensors-0-6"]

    assert (event["cause"], event["suppressed"], event["suppressed_by"]) == ("limit", "repeat", "")
