"""Train the first model of the demo on healthy rows, as `sensorwatch train` does."""

from collections.abc import Callable
from pathlib import Path

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.kernel_compilation import CSV_JOB, SCORING_JOB, KernelCompilation
from sensorwatch.common.runtime.kernel_progress import show_share
from sensorwatch.common.runtime.settings import Settings
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
    with KernelCompilation() as compilation:
        if compilation.is_needed:
            step("compiling the detector for this CPU (only the first time)")
        step(f"simulating {TRAINING_DAYS} days of healthy rows")
        rows = write_simulated_csv(
            healthy_rows(scenario), data, labels=False, on_sent=lambda _rows: None
        )
        with show_share(step) as on_share:
            compilation.wait(on_share, [CSV_JOB, SCORING_JOB])
        # The other job is for the consumer, and runs beside the training.
        step(f"training the first model on {rows:,} rows")
        version = _register(settings, data)
        with show_share(step) as on_share:
            compilation.wait(on_share)
    return version


def _register(settings: Settings, data: Path) -> str:
    schema = load_schema(settings.schema_.path)
    dataset = read_data(str(data), schema, kafka=settings.kafka)
    candidate = train(dataset.readings, schema, dataset.source, settings.trainer)
    registry = Registry(settings.registry.path)
    return registry.register(
        settings.registry.model, candidate, who="sensorwatch demo", why="first model"
    )
