"""The demonstration's first champion, trained the way `sensorwatch train` does it."""

from pathlib import Path

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.demonstration.scenario import Scenario, healthy_rows
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.trainer.dataset import read_data
from sensorwatch.trainer.training import train


def write_training_data(scenario: Scenario, path: Path) -> int:
    """Write the sensors' healthy past as a CSV file and return its rows."""
    return write_simulated_csv(
        healthy_rows(scenario), path, labels=False, on_sent=lambda _rows: None
    )


def train_champion(settings: Settings, data: Path) -> str:
    """Train on the file, register the version and return its id: the first becomes champion."""
    schema = load_schema(settings.schema_.path)
    dataset = read_data(str(data), schema, kafka=settings.kafka)
    candidate = train(dataset.readings, schema, dataset.source, settings.trainer)
    registry = Registry(settings.registry.path)
    return registry.register(
        settings.registry.model, candidate, who="sensorwatch demo", why="first champion"
    )
