"""The event of an anomaly names its signals, and so does its line in `sensorwatch tail`."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from jsonschema import Draft202012Validator

from sensorwatch.commands.event_line import line_parts
from sensorwatch.common.alarms.events import read_event
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.kafka.record_builders import StoredRecord
from tests.scoring.detectors import a_forecast_detector

SCHEMA_PATH = Path(__file__).parents[2] / "schemas" / "anomaly-event.v2.json"


def last_event_after(*values: dict[str, float | None]) -> OutgoingMessage:
    """Score 40 random rows, the last of them changed by `values`, and return the last event."""
    random_values = np.random.default_rng(3).normal(size=(40, 3)).round(3).tolist()
    rows: list[dict[str, Any]] = [
        dict(zip(("x1", "x2", "x3"), row, strict=True)) for row in random_values
    ]
    for row, changed_values in zip(rows[-len(values) :], values, strict=True):
        row.update(changed_values)
    records = [
        StoredRecord(
            json.dumps(
                {"timestamp": f"2025-01-02T00:{minute:02}:00Z", "sensor_id": "s0", **row}
            ).encode(),
            minute,
        )
        for minute, row in enumerate(rows)
    ]
    detector = a_forecast_detector()
    outcome = process([record.value() for record in records], detector, detector.empty_memory())
    *_, last_event = anomaly_events(outcome, detector, records, topic="anomalies", detected_at="")
    return last_event


def test_an_event_names_the_anomalous_signal_first_with_its_expected_range() -> None:
    message = last_event_after({"x2": 41.3})

    event = json.loads(message.value or b"")

    Draft202012Validator(json.loads(SCHEMA_PATH.read_text(encoding="utf-8"))).validate(event)
    assert event["source"]["offset"] == 39
    assert event["status"] == "scored"
    first_signal, *other_signals = event["signals"]
    assert (first_signal["name"], first_signal["actual"], first_signal["direction"]) == (
        "x2",
        41.3,
        "high",
    )
    assert (
        first_signal["expected_low"]
        < first_signal["expected"]
        < first_signal["expected_high"]
        < 41.3
    )
    assert first_signal["attribution"] > 0.5
    attributions = [
        first_signal["attribution"],
        *(signal["attribution"] for signal in other_signals),
    ]
    assert abs(sum(attributions) - 1.0) <= 1e-9
    assert not any(signal["held"] for signal in event["signals"])


def test_a_missing_value_is_marked_as_held() -> None:
    event = json.loads(last_event_after({"x1": 0.25}, {"x1": None, "x2": -30.0}).value or b"")

    signals = {signal["name"]: (signal["held"], signal["actual"]) for signal in event["signals"]}
    assert event["signals"][0]["name"] == "x2"
    assert signals["x1"] == (True, 0.25)
    assert signals["x2"] == (False, -30.0)


def test_the_printed_line_has_the_reason() -> None:
    message = last_event_after({"x2": 41.3})

    event = read_event(StoredRecord(message.value, stored_headers=message.headers))

    assert event is not None
    text = "".join(line_part for line_part, _ in line_parts(event))
    assert re.search(
        r"critical +\d+\.\d+  x2 jumped to 41\.3, 4\d\.\d \(4\d sigma\) above expected$", text
    )
