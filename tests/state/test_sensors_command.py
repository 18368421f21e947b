"""`sensorwatch sensors` lists the sensors of a group that a worker has scored."""

import json
from pathlib import Path

import pytest

from sensorwatch.commands.sensors_command import sensors
from sensorwatch.common.runtime.command_line import run, typer_app
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.consumer.sandbox import Sandbox
from tests.publishing.test_episode_events import a_row_payload


@pytest.mark.embedded
@pytest.mark.slow
def test_the_silent_sensor_comes_first(
    embedded_broker: EmbeddedBroker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sandbox = Sandbox(embedded_broker.address, tmp_path).with_model()
    for topic in sandbox.topics:
        embedded_broker.create_topic(topic)
    rows = [a_row_payload(name, minute) for minute in range(12) for name in ("pump-1", "pump-2")]
    rows += [a_row_payload("pump-1", minute) for minute in range(12, 40)]
    sandbox.send_payloads(rows, partition=0)
    settings = {"consumer__delivery": "at_least_once"}
    with sandbox.start(**settings) as worker:
        sandbox.wait_consumed(len(rows), worker)
        silent_sensors = worker.metric(
            f'sensorwatch_silent_sensors{{partition="0",topic="{sandbox.readings}"}}'
        )
        assert worker.process.terminate(deadline=5) == 0
    for name, value in sandbox.environment(**settings).items():
        monkeypatch.setenv(name, value)
    app = typer_app()
    app.command()(sensors)

    assert run(app, ["--json"]) == 0

    states = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(state["sensor_id"], state["status"]) for state in states] == [
        ("pump-2", "silent"),
        ("pump-1", "ok"),
    ]
    assert states[0]["last"] == "2025-01-01T00:11:00Z"
    assert states[0]["silent_seconds"] == 28 * 60
    assert silent_sensors == 1
    assert run(app, ["--sensor", "*-2"]) == 0
    header, line, summary = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["sensor", "status", "last row"]
    cells = line.split("\t")
    assert cells[:4] == ["pump-2", "silent for 28 min", "2025-01-01 00:11", "60 s"]
    assert cells[4:6] == ["10 min", "-"]
    assert summary == (
        "sensors: 1, 1 silent, 0 with an open alarm, 0 with a wrong clock, 0 with a flat line"
    )
