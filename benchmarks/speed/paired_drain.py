"""Compare the worker of this checkout with the worker of another checkout, round by round.

Command: `python -m benchmarks.speed.paired_drain --other FOLDER`.

`FOLDER` is a checkout of another commit, for example a git worktree. Each checkout trains its own
model. All workers drain the same topic in turn, each with its default settings. This checkout also
drains without score records, and with groups and a policy.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.report.figures_table import Table, show
from benchmarks.speed.benchmark_broker import running_broker
from benchmarks.speed.benchmark_models import ROOT, train
from benchmarks.speed.run_statistics import (
    DrainRun,
    Round,
    cpu_ratios,
    median_and_range,
    rate_ratios,
    runs_of,
)
from benchmarks.speed.testbed import broker_config
from benchmarks.speed.topic_loading import load_topic
from sensorwatch.common.runtime.command_line import run
from tests.brokers.kafka import Kafka

SENSORS = 1_000
MODEL = "forecast"
OTHER, OWN, GROUPS = "other checkout", "this checkout", "this checkout, groups and policy"
POLICY = """
[[rule]]
name = "x1-high"
sensor = "sensor-00*"
signal = "x1"
direction = "high"
min_deviation = 0.5

[[rule]]
name = "x2-limits"
signal = "x2"
low_limit = -1000.0
high_limit = 1000.0

[[rule]]
name = "short-spikes"
min_rows = 3

[[window]]
name = "cleaning"
sensor = "sensor-0001*"
action = "suppress"
weekdays = ["sat"]
from = 22:00:00
to = 02:00:00
zone = "UTC"
"""
_TRAIN_PROGRAM = """
import sys
from pathlib import Path
from benchmarks.speed.benchmark_models import train
train(Path(sys.argv[1]), sensors=int(sys.argv[2]), features=(sys.argv[3],))
"""
_DRAIN_PROGRAM = """
import dataclasses, json, sys, uuid
from pathlib import Path
from benchmarks.speed.observed_worker import WorkerJob, measure_drain
kafka, topic, rows, registry, model, settings = json.loads(sys.argv[1])
group = "paired-" + uuid.uuid4().hex[:8]
job = WorkerJob(kafka, topic, 1, group, Path(registry), model, settings)
print(json.dumps(dataclasses.asdict(measure_drain(job, rows))))
"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A checkout, its model and the settings of its worker."""

    name: str
    checkout: Path
    registry: Path
    settings: Mapping[str, object] = field(default_factory=dict)


def main(
    other: Annotated[Path, typer.Option("--other", help="The checkout of another commit.")],
    rows: Annotated[int, typer.Option("--rows", min=100_000)] = 3_000_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1)] = 5,
) -> None:
    """Measure the rates and CPU times of both workers, as ratios of runs of the same round."""
    with tempfile.TemporaryDirectory(prefix="paired-drain-") as name, running_broker() as kafka:
        folder = Path(name)
        (folder / OWN).mkdir()
        own_models = train(folder / OWN, sensors=SENSORS, features=(MODEL,))
        variants = [
            Variant(OTHER, other.resolve(), _train_in(other.resolve(), folder / OTHER, {})),
            Variant("no score records", ROOT, own_models.registry, {"consumer__scores": "false"}),
            Variant(OWN, ROOT, own_models.registry),
            _with_groups_and_policy(folder),
        ]
        topic = kafka.create_topic("rows", 1)
        load_topic(broker_config(kafka), topic, 1, own_models.stream(rows))
        measured = [
            {variant.name: _drain(variant, kafka, topic, rows) for variant in variants}
            for _ in range(rounds + 1)
        ]
        # The drains of the first round may compile kernels, so they do not count.
        show(results(variants, measured[1:], rows))


def _with_groups_and_policy(folder: Path) -> Variant:
    """Train a model whose schema has 20 groups of 50 sensors, and apply a policy to it."""
    schema, policy = folder / "groups.toml", folder / "policy.toml"
    patterns = [
        f'"sensor-000{hundred}[{half}]*" = "group {hundred} {half}"'
        for hundred in range(10)
        for half in ("0-4", "5-9")
    ]
    text = (ROOT / "schemas" / "default.toml").read_text(encoding="utf-8")
    groups = "\n".join(["[key.groups]", *patterns, ""])
    schema.write_text(text.replace("[[signals]]", f"{groups}\n[[signals]]", 1), encoding="utf-8")
    policy.write_text(POLICY, encoding="utf-8")
    environment = {"SENSORWATCH__SCHEMA__PATH": str(schema)}
    registry = _train_in(ROOT, folder / GROUPS, environment)
    environment |= {
        "SENSORWATCH__REGISTRY__PATH": str(registry),
        "SENSORWATCH__REGISTRY__MODEL": MODEL,
    }
    command = ["-m", "sensorwatch", "rules", "apply", str(policy), "--why", "benchmark"]
    _run_python(ROOT, command, environment)
    return Variant(GROUPS, ROOT, registry, {"schema__path": str(schema)})


def _train_in(checkout: Path, folder: Path, environment: Mapping[str, str]) -> Path:
    """Train a model with the code of a checkout; return its registry."""
    folder.mkdir()
    _run_python(checkout, ["-c", _TRAIN_PROGRAM, str(folder), str(SENSORS), MODEL], environment)
    return folder / f"registry-{SENSORS}"


def _drain(variant: Variant, kafka: Kafka, topic: str, rows: int) -> DrainRun:
    """Drain the topic by a worker of the variant, in a new consumer group."""
    job = [broker_config(kafka), topic, rows, str(variant.registry), MODEL, variant.settings]
    output = _run_python(variant.checkout, ["-c", _DRAIN_PROGRAM, json.dumps(job)], {})
    drain_run = DrainRun(**json.loads(output.splitlines()[-1]))
    print(f"{variant.name}: {drain_run.rate:,.0f} rows/s", flush=True)
    return drain_run


def _run_python(checkout: Path, arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Run Python with the modules of a checkout; return the output."""
    completed = subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**os.environ, **environment, "PYTHONPATH": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise RuntimeError(f"{checkout}: {completed.stdout}{completed.stderr}")
    return completed.stdout


def results(variants: Sequence[Variant], rounds: Sequence[Round], rows: int) -> Table:
    """Return the table of the rates, the CPU times, and their ratios to the other checkout."""
    lines = []
    for variant in variants:
        runs = runs_of(rounds, variant.name)
        lines.append(
            (
                variant.name,
                median_and_range([drain_run.rate for drain_run in runs]).text(0),
                median_and_range([drain_run.cpu_per_million for drain_run in runs]).text(2),
                median_and_range(rate_ratios(rounds, variant.name, OTHER)).text(3),
                median_and_range(cpu_ratios(rounds, variant.name, OTHER)).text(3),
            )
        )
    columns = ("worker", "rows/s", "CPU s per million rows", "rate / other", "CPU time / other")
    note = (
        f"{rows:,} rows of {SENSORS:,} sensors, one partition, default detector. Median (lowest.."
        f"highest) of {len(rounds)} rounds."
    )
    return Table("Paired drain", columns, lines, note)


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.speed.paired_drain"))
