"""Train the first model of the demo on healthy rows, as `sensorwatch train` does."""

from collections.abc import Callable
from pathlib import Path

from sensorwatch.commands.warmup_run import compile_kernels
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.common.scoring.warmup import is_compiled
from sensorwatch.demo.scenario import TRAINING_DAYS, Scenario, healthy_rows
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.trainer.dataset import read_data
from sensorwatch.trainer.training import train


def train_first_model(
    scenario: Scenario, settings: Settings, data: Path, step: Callable[[str], object]
) -> str:
    """Train a model on simulated rows, register it as the champion, and return its version id.

    `data`: file for the training rows. `step`: called with a description of each step.
    """
    if not is_compiled():
        step("compiling the detector for this machine (only the first time)")
        compile_kernels()
    step(f"simulating {TRAINING_DAYS} days of healthy rows")
    rows = write_simulated_csv(
        healthy_rows(scenario), data, labels=False, on_sent=lambda _rows: None
    )
    step(f"training the first model on {rows:,} rows")
    return _register(settings, data)


def _register(settings: Settings, data: Path) -> str:
    schema = load_schema(settings.schema_.path)
    dataset = read_data(str(data), schema, kafka=settings.kafka)
    candidate = train(dataset.readings, schema, dataset.source, settings.trainer)
    registry = Registry(settings.registry.path)
    return registry.register(
        settings.registry.model, candidate, who="sensorwatch demo", why="first model"
    )
