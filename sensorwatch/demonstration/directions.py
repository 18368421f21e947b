"""What a person can type while the demonstration runs, and after it."""

import json
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from sensorwatch.demonstration.stage import Stage

_ROW = '{"rows":[{"timestamp":"2024-02-01T12:00:00","x1":30,"x2":72,"x3":-5}]}'


def addresses(stage: Stage) -> Iterator[tuple[str, list[str]]]:
    """Yield what each address is for, with complete commands."""
    topics, api = stage.settings.topics, stage.api_address
    command = f"{program()} tail --config {shlex.quote(str(stage.config))}"
    named = topics.model_dump(exclude={"ledger", "state"}).values()
    names = [*named, stage.settings.ledger_topic, stage.settings.state_topic]
    yield (
        f"Kafka       {stage.broker}, topics {', '.join(names)} (for clients built on librdkafka)",
        [command, f"kcat -b {stage.broker} -t {topics.anomalies} -C -o end"],
    )
    yield (
        f"API         {api}, in a browser {api}/docs",
        [
            f"curl -s {api}/predict -H content-type:application/json -d '{_ROW}'",
            f"curl -s {api}/health",
        ],
    )
    scraped = (stage.consumer_address, api)
    targets = "targets: " + json.dumps([where.removeprefix("http://") for where in scraped])
    yield (
        f"Prometheus  scrape_configs: [{{job_name: demo, static_configs: [{{{targets}}}]}}]",
        [f"curl -s {stage.consumer_address}/metrics | grep ^sensorwatch_"],
    )


def next_commands() -> list[tuple[str, str]]:
    """Return three commands to go on with, and what each does."""
    sample = "data/raw/sample.csv"
    return [
        (f"{program()} produce --out {sample}", "two weeks of ten sensors, as a CSV file"),
        (f"{program()} train --data {sample}", "a model of your own, in ./registry"),
        (f"{program()} serve", "ask it over HTTP: http://127.0.0.1:8000/docs"),
    ]


def program() -> str:
    """Return how `sensorwatch` is called from here."""
    script = Path(sys.executable).parent / "sensorwatch"
    if not script.exists():
        return "sensorwatch"
    here = Path.cwd()
    return shlex.quote(str(script.relative_to(here) if script.is_relative_to(here) else script))
