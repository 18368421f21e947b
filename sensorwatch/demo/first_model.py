"""The first model of the demo, trained on healthy rows as `sensorwatch train` does."""

from collections.abc import Callable, Sequence
from pathlib import Path

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.runtime.kernel_compilation import CSV_JOB, SCORING_JOB, KernelCompilation
from sensorwatch.common.runtime.kernel_progress import show_share
from sensorwatch.common.runtime.settings import Settings
from sensorwatch.demo.scenario import TRAINING_DAYS, TRAINING_ROWS, Scenario, healthy_rows
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.trainer.dataset import read_data
from sensorwatch.trainer.training import train

TRAINING_JOBS = (CSV_JOB, SCORING_JOB)
"""The compilation jobs that the training needs; only the consumer needs the remaining job."""

Step = Callable[[str], object]
"""A function that the demo calls with a description of each step."""


def simulate_training_rows(scenario: Scenario, data: Path, step: Step) -> None:
    """Write healthy simulated rows to the CSV file `data`."""
    step(f"simulating {TRAINING_DAYS} days of healthy rows")
    write_simulated_csv(healthy_rows(scenario), data, labels=False, on_sent=lambda _rows: None)


def wait_for_kernels(
    compilation: KernelCompilation,
    jobs: Sequence[str],
    step: Step,
    stopping: Callable[[], bool],
) -> None:
    """Block until the kernels of `jobs` are compiled, and show the progress.

    Raises KeyboardInterrupt if `stopping` returns True.
    """
    if not compilation.is_running(jobs):
        return
    step("compiling the detector for this CPU (only the first time)")
    with show_share(step) as show_progress:

        def on_share(share: float) -> None:
            if stopping():
                raise KeyboardInterrupt
            show_progress(share)

        for error in compilation.wait(on_share, jobs):
            step(f"a process that compiles failed ({error}), so this process compiles")


def train_first_model(settings: Settings, data: Path, step: Step) -> str:
    """Train a model on a CSV file, register it as the champion, and return its version id."""
    step(f"training the first model on {TRAINING_ROWS:,} rows")
    schema = load_schema(settings.schema_.path)
    dataset = read_data(str(data), schema, kafka=settings.kafka)
    candidate = train(dataset.readings, schema, dataset.source, settings.training)
    registry = Registry(settings.registry.path)
    return registry.register(
        settings.registry.model, candidate, who="sensorwatch demo", why="first model"
    )
