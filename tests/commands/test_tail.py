"""`sensorwatch tail`: what it prints of the anomaly topic, and how it ends."""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Producer

from common.messaging.embedded import EmbeddedBroker
from common.runtime.command_line import run
from sensorwatch.event_line import line_of, read_event
from sensorwatch.tail_command import tail
from tests.brokers.processes import Program, wait_until


def an_event(number: int = 0, **changes: Any) -> bytes:
    """The value of an event of `sensor-<number>`, x2 too high."""
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


def text_of(value: bytes) -> str:
    event = read_event(value)
    assert event is not None
    return "".join(text for text, _ in line_of(event))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Iterator[EmbeddedBroker]:
    """The embedded broker with an anomaly topic, as the configured one."""
    with EmbeddedBroker() as embedded:
        embedded.create_topic("anomalies")
        monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", embedded.address)
        yield embedded


def produce(broker: EmbeddedBroker, *values: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for value in values:
        producer.produce("anomalies", value, partition=0)
    assert producer.flush(10) == 0
    producer.close()


def test_a_line_says_when_who_how_bad_and_which_signal_is_where() -> None:
    assert text_of(an_event(3)) == (
        "2025-01-01T00:00:00Z  sensor-3      critical   2.35  x2 41.3, expected 12.1 to 14, high"
    )


def test_a_line_says_so_where_no_signal_alone_is_unusual() -> None:
    assert text_of(an_event(signals=[])).endswith(
        "every signal within its training band, their combination is unusual"
    )


def test_a_line_obeys_no_terminal_codes_of_a_sensors_name() -> None:
    assert "\x1b" not in text_of(an_event(sensor_id="\x1b[2J"))


@pytest.mark.parametrize("value", [None, b"", b"\xff", b"{", b'{"sensor_id": 1}'])
def test_what_is_no_event_is_none(value: bytes | None) -> None:
    assert read_event(value) is None


@pytest.mark.embedded
def test_json_gives_each_value_on_a_line_of_its_own_as_it_is_in_the_topic(
    broker: EmbeddedBroker, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    produce(broker, an_event(1), an_event(2))

    assert run(tail, ["--json", "--from-beginning", "--max", "2"]) == 0

    assert capfdbinary.readouterr().out == an_event(1) + b"\n" + an_event(2) + b"\n"


@pytest.mark.embedded
def test_without_a_terminal_lines_are_plain_uncut_and_no_event_stops_them(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    produce(broker, b"{", an_event(1, sensor_id="s" * 200))

    assert run(tail, ["--from-beginning", "--max", "2"]) == 0

    assert capfd.readouterr().out.splitlines() == [
        "anomalies-0-0 is no anomaly event",
        text_of(an_event(1, sensor_id="s" * 200)),
    ]


@pytest.mark.embedded
def test_a_missing_topic_is_named_with_the_remedy(
    broker: EmbeddedBroker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(tail, ["--topic", "elsewhere"]) == 3

    assert 'has no topic "elsewhere"' in capfd.readouterr().err


@pytest.mark.embedded
def test_it_gives_only_new_events_at_once_and_ends_quietly_on_ctrl_c(
    broker: EmbeddedBroker, tmp_path: Path
) -> None:
    produce(broker, an_event(1))
    log = tmp_path / "output.txt"
    with Program([sys.executable, "-m", "sensorwatch", "tail", "--json"], log=log) as program:
        # When it follows is not seen from outside: so new events come until it shows one.
        def shown() -> bool:
            produce(broker, an_event(2))
            return log.stat().st_size > 0

        wait_until(shown, deadline=60, what="a new event", every=0.2)
        os.kill(program.pid, signal.SIGINT)
        assert program.wait(deadline=10) == 130

    assert set(log.read_bytes().splitlines()) == {an_event(2)}


def test_actual_and_band_are_told_apart_however_near_they_are() -> None:
    signals = [
        {"name": "Thermocouple", "actual": 26.8768, "direction": "low"}
        | {"expected_low": 26.8802, "expected_high": 29.0},
    ]

    assert "Thermocouple 26.877, expected 26.88 to 29, low" in text_of(an_event(signals=signals))
