"""Tests of `sensorwatch tail` and of the text of an event."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from sensorwatch.commands.event_line import line_parts, short_reason
from sensorwatch.commands.event_selection import EventSelection
from sensorwatch.commands.tail_command import tail
from sensorwatch.common.alarms.events import Event, read_event
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.runtime.command_line import run
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.child_processes import ChildProcess, wait_until
from tests.kafka.record_builders import StoredRecord
from tests.nested_json import DEEPLY_NESTED_JSON


def an_event(number: int = 0, **changes: Any) -> bytes:
    """Return the JSON of an event of `sensor-<number>`, in which x2 is too high."""
    signals = [
        {"name": "x1", "actual": 1.0, "expected_low": 0.0, "expected_high": 2.0},
        {"name": "x2", "actual": 41.3, "expected_low": 12.1, "expected_high": 14.0},
    ]
    value = {
        "event_id": f"sensors-0-{number}",
        "sensor_id": f"sensor-{number}",
        "event_time": "2025-01-01T00:00:00Z",
        "model_version": "default-0001-00000000",
        "anomaly_score": 2.345,
        "severity": "critical",
        "signals": [
            signal | {"direction": direction}
            for signal, direction in zip(signals, ("within", "high"), strict=True)
        ],
    }
    return json.dumps(value | changes).encode()


def a_closing_event(**changes: Any) -> bytes:
    """Return the JSON of an event that closes an episode."""
    value = {
        "event_id": "sensors-0-1-closed",
        "episode_id": "sensors-0-1",
        "sensor_id": "sensor-1",
        "event_time": "2025-01-01T00:12:00Z",
        "duration_seconds": 660.0,
        "rows": 12,
        "peak": 2.345,
        "severity": "critical",
    }
    return json.dumps(value | changes).encode()


def an_accepted_event(**changes: Any) -> bytes:
    """Return the JSON of an event that reports an accepted level of x1."""
    value = {
        "event_id": "sensors-0-9-accepted",
        "episode_id": "sensors-0-1",
        "sensor_id": "sensor-1",
        "event_time": "2025-01-01T00:09:00Z",
        "rows": 2000,
        "severity": "critical",
        "signals": [
            {"name": "x1", "level_before": 0.02, "level_after": 7.4},
            {"name": "x2", "level_before": 3.0, "level_after": 3.0},
        ],
    }
    return json.dumps(value | changes).encode()


def event_record(value: bytes | None, event_type: str = EventType.DETECTED) -> StoredRecord:
    return StoredRecord(value, stored_headers=[("ce_type", event_type.encode())])


def printed_line(value: bytes, event_type: EventType = EventType.DETECTED) -> str:
    event = read_event(event_record(value, event_type))
    assert event is not None
    return "".join(line for line, _ in line_parts(event))


def a_signal(name: str, actual: float, direction: str, **other_fields: object) -> dict[str, object]:
    band = {"expected_low": 12.1, "expected_high": 14.0}
    return {"name": name, "actual": actual, **band, "direction": direction, **other_fields}


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    """Return an embedded broker with an anomaly topic; the settings name this broker."""
    with EmbeddedBroker() as embedded_broker:
        embedded_broker.create_topic("anomalies")
        monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded_broker.address)
        yield embedded_broker


def send_events(
    broker: EmbeddedBroker, *values: bytes, event_type: EventType = EventType.DETECTED
) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for value in values:
        headers: list[tuple[str, str | bytes | None]] = [("ce_type", event_type.encode())]
        producer.produce("anomalies", value, partition=0, headers=headers)
    assert producer.flush(10) == 0
    producer.close()


def test_a_line_has_time_sensor_severity_score_and_signal_with_its_expected_range() -> None:
    assert printed_line(an_event(3)) == (
        "2025-01-01T00:00:00Z  sensor-3      critical   2.35  x2 41.3, expected 12.1 to 14.0, high"
    )


def test_a_line_has_the_status_and_the_row_number_in_the_episode() -> None:
    assert printed_line(an_event(status="warming_up")).endswith("high  (warming up)")
    assert printed_line(an_event(status="scored", episode={"rows": 1})).endswith("high")
    assert printed_line(an_event(status="gap", episode={"rows": 3})).endswith(
        "high  (gap, row 3 of its episode)"
    )


def test_the_signal_with_the_highest_attribution_is_the_reason() -> None:
    signals = [
        a_signal("x1", 20.0, "high", attribution=0.13),
        a_signal("x2", 41.3, "high", attribution=0.87, held=True),
    ]

    line = printed_line(an_event(signals=signals))

    assert line.endswith("x2 41.3 (held value), expected 12.1 to 14.0, high, 87 %")
    assert "x1" not in line


def test_the_sentence_of_the_event_is_the_reason() -> None:
    message = "x2 has repeated 41.30 for 34 rows"

    assert printed_line(an_event(message=message)).endswith(f"critical   2.35  {message}")


def test_a_rise_of_an_episode_is_read_as_an_event_of_a_row() -> None:
    event = read_event(event_record(an_event(3), EventType.RAISED))

    assert isinstance(event, Event)
    assert event.severity == "critical"


@pytest.mark.parametrize(
    ("levels", "expected"),
    [
        ((0.02, 7.4), "accepted after 2000 rows: level of x1 0.02 before, 7.4 now"),
        ((50001.0, 50002.0), "accepted after 2000 rows: level of x1 50001 before, 50002 now"),
        ((3.0, 3.0), "accepted after 2000 rows: its scores are usual now"),
    ],
)
def test_an_accepted_level_has_a_line_with_the_level_before_and_after(
    levels: tuple[float, float], expected: str
) -> None:
    signals = [
        {"name": "x1", "level_before": levels[0], "level_after": levels[1]},
        {"name": "x2", "level_before": 3.0, "level_after": 3.0},
    ]

    line = printed_line(an_accepted_event(signals=signals), EventType.ACCEPTED)

    assert line.startswith("2025-01-01T00:09:00Z  sensor-1      critical ")
    assert line.endswith(expected)


def test_a_stale_model_has_a_line_that_no_severity_hides() -> None:
    value = json.dumps(
        {
            "event_id": "sensors-0-9-stale",
            "sensor_id": "sensor-1",
            "event_time": "2025-01-01T00:09:00Z",
            "message": "62 alarms where the model expects 6.1",
        }
    ).encode()

    line = printed_line(value, EventType.STALE)

    assert line.startswith("2025-01-01T00:09:00Z  sensor-1      stale ")
    assert line.endswith(" 62 alarms where the model expects 6.1")
    headers = [("ce_type", EventType.STALE.encode())]
    event = read_event(StoredRecord(value, 0, stored_headers=headers))
    assert event is not None
    assert EventSelection(Severity.CRITICAL).is_severe_enough(event)


def test_the_reason_can_be_a_signal_within_its_expected_range() -> None:
    """A stuck sensor repeats a value within the normal range."""
    signals = [a_signal("x1", 13.0, "within", attribution=1.0)]

    assert printed_line(an_event(signals=signals)).endswith(
        "x1 13.0, expected 12.1 to 14.0, within, 100 %"
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "closed after 12 rows in 11 min"),
        ({"rows": 1}, "closed after 1 row"),
        ({"duration_seconds": 119.94}, "in 120 s"),
        ({"duration_seconds": 7200.0}, "in 2 h"),
        ({"duration_seconds": 180_000.0}, "in 2.1 days"),
    ],
)
def test_a_closing_event_keeps_its_severity_and_has_rows_and_duration(
    changes: dict[str, Any], expected: str
) -> None:
    line = printed_line(a_closing_event(**changes), EventType.CLOSED)

    assert line.startswith("2025-01-01T00:12:00Z  sensor-1      critical   2.35  closed after ")
    assert line.endswith(expected)


def test_a_line_reports_an_unusual_combination_if_no_single_signal_is_unusual() -> None:
    assert printed_line(an_event(signals=[])).endswith(
        "each signal is in its training band, but their combination is unusual"
    )


@pytest.mark.parametrize(
    ("signals", "expected"),
    [
        (
            [("x1", 13.0, "within", 0.13), ("x2", 41.3, "high", 0.87)],
            "x2 41.3 high (12.1 to 14.0), 87 %",
        ),
        ([("x1", 13.0, "within", 1.0)], "x1 13.0 (12.1 to 14.0), 100 %"),
        (
            [("x1", 2.5, "low", None), ("x2", 13.0, "within", None), ("x3", 41.3, "high", None)],
            "x1 2.5 low (12.1 to 14.0); x3 too",
        ),
        ([], "combination of signals"),
    ],
)
def test_the_short_reason_of_the_demo_names_the_unusual_signals(
    signals: list[tuple[str, float, str, float | None]], expected: str
) -> None:
    event_signals = [
        a_signal(name, actual, direction, attribution=attribution)
        for name, actual, direction, attribution in signals
    ]

    event = read_event(event_record(an_event(signals=event_signals)))

    assert isinstance(event, Event)
    assert "".join(line for line, _ in short_reason(event)) == expected


@pytest.mark.parametrize(
    "value", [None, b"", b"\xff", b"{", b'{"sensor_id": 1}', DEEPLY_NESTED_JSON]
)
def test_an_invalid_event_is_read_as_none(value: bytes | None) -> None:
    assert read_event(event_record(value)) is None
    assert read_event(event_record(value, EventType.CLOSED)) is None


def test_an_event_of_another_type_is_read_as_none() -> None:
    assert read_event(event_record(an_event(), "io.sensorwatch.something.else.v1")) is None
    assert read_event(StoredRecord(an_event())) is None
    assert read_event(event_record(an_event(), EventType.CLOSED)) is None


@pytest.mark.embedded
def test_json_prints_each_value_unchanged_on_its_own_line(
    broker: EmbeddedBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    send_events(broker, an_event(1), an_event(2))

    assert run(tail, ["--json", "--from-beginning", "--max", "2"]) == 0

    assert capfdbinary.readouterr().out == an_event(1) + b"\n" + an_event(2) + b"\n"


@pytest.mark.embedded
def test_without_a_terminal_lines_are_plain_and_complete_and_invalid_events_are_skipped(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    send_events(broker, b"{", an_event(1, sensor_id="s" * 200))
    send_events(broker, a_closing_event(), event_type=EventType.CLOSED)

    assert run(tail, ["--from-beginning", "--max", "3"]) == 0

    assert capfd.readouterr().out.splitlines() == [
        "anomalies-0-0 is not an anomaly event",
        printed_line(an_event(1, sensor_id="s" * 200)),
        printed_line(a_closing_event(), EventType.CLOSED),
    ]


@pytest.mark.embedded
def test_an_episode_has_a_line_for_each_rise_and_hidden_episodes_are_counted(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    first = an_event(1, severity="warning", episode={"id": "sensors-0-1", "rows": 2})
    risen_episode = {"id": "sensors-0-1", "rows": 3}
    risen = an_event(1, event_id="sensors-0-3", severity="critical", episode=risen_episode)
    send_events(broker, an_event(7, severity="info"), first, first, risen)
    send_events(broker, a_closing_event(), event_type=EventType.CLOSED)

    assert run(tail, ["--until-end"]) == 0

    captured = capfd.readouterr()
    assert captured.out.splitlines() == [
        printed_line(first),
        f"{printed_line(risen)}  (was warning)",
        printed_line(a_closing_event(), EventType.CLOSED),
    ]
    assert "hidden: 1 episode of a lower severity (--severity info shows all)" in captured.err


@pytest.mark.embedded
def test_rows_prints_each_event_of_an_episode(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    event = an_event(1, episode={"id": "sensors-0-1", "rows": 2})
    send_events(broker, event, event)

    assert run(tail, ["--until-end", "--rows"]) == 0

    assert capfd.readouterr().out.splitlines() == [printed_line(event)] * 2


@pytest.mark.embedded
@pytest.mark.parametrize(
    "options",
    [
        ["--sensor", "sensor-2"],
        ["--sensor", "*-[2-9]"],
        ["--since", "2025-01-01T00:30:00Z"],
        ["--severity", "critical"],
    ],
)
@pytest.mark.parametrize("form", [[], ["--json"]])
def test_only_selected_events_are_printed(
    broker: EmbeddedBroker,
    capfd: pytest.CaptureFixture[str],
    options: list[str],
    form: list[str],
) -> None:
    wanted = an_event(2, event_time="2025-01-01T01:00:00Z")
    send_events(broker, an_event(1, severity="major"), wanted)

    assert run(tail, [*options, *form, "--until-end"]) == 0

    expected = wanted.decode() if form else printed_line(wanted)
    assert capfd.readouterr().out.splitlines() == [expected]


@pytest.mark.embedded
def test_the_error_names_a_missing_topic(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tail, ["--topic", "elsewhere"]) == 3

    assert 'has no topic "elsewhere"' in capfd.readouterr().err


@pytest.mark.embedded
def test_tail_prints_new_events_at_once_and_ends_silently_on_ctrl_c(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    send_events(broker, an_event(1))
    log = tmp_path / "output.txt"
    with ChildProcess([sys.executable, "-m", "sensorwatch", "tail", "--json"], log=log) as process:
        # The output does not show when `tail` starts to follow the topic. Therefore the test sends
        # events until `tail` prints one.
        def has_printed() -> bool:
            send_events(broker, an_event(2))
            return log.stat().st_size > 0

        wait_until(has_printed, deadline=60, what="a new event", every=0.2)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(deadline=10) == 130

    assert set(log.read_bytes().splitlines()) == {an_event(2)}


def test_value_and_limit_are_printed_with_enough_digits_to_differ() -> None:
    signals = [
        {"name": "Thermocouple", "actual": 26.8768, "direction": "low"}
        | {"expected_low": 26.8802, "expected_high": 29.0},
    ]

    assert "Thermocouple 26.877, expected 26.880 to 29.000, low" in printed_line(
        an_event(signals=signals)
    )
