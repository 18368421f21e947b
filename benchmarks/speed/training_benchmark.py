"""Measure the speed of training and backtest on 1,000,000 rows of 8 signals.

Command: `python -m benchmarks.speed.training_benchmark`.

The commands run in turn, each in its own process. `sensorwatch train` is compared with a script
that uses pandas and scikit-learn. `sensorwatch backtest` is compared with the scoring alone.
"""

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.runtime.allocator import keep_freed_memory
from sensorwatch.common.runtime.command_line import run
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.scoring.processing import score_readings

SIGNALS, SENSORS = 8, 100
START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
_CHUNK_ROWS = 10_000
_SCHEMA = """\
name = "bench"
[time]
field = "timestamp"
[key]
field = "sensor_id"
"""


def main(
    rows: Annotated[int, typer.Option(help="Rows of the CSV file.")] = 1_000_000,
    repeats: Annotated[int, typer.Option(help="Number of measurements; medians are printed.")] = 3,
) -> None:
    """Print the training's seconds, the backtest's rows per second, and ratios to the baselines."""
    with tempfile.TemporaryDirectory() as folder:
        work_folder = Path(folder)
        signals = "".join(
            f'[[signals]]\nname = "s{signal_number}"\n' for signal_number in range(SIGNALS)
        )
        (work_folder / "schema.toml").write_text(_SCHEMA + signals, encoding="utf-8")
        readings = some_rows(rows)
        write_csv(readings, work_folder / "rows.csv")
        _compare_training(work_folder, repeats)
        _compare_backtest(work_folder, readings, repeats)


def _compare_training(work_folder: Path, repeats: int) -> None:
    data = str(work_folder / "rows.csv")
    baseline_command = [
        "benchmarks.speed.tutorial_training",
        data,
        str(work_folder / "plain.joblib"),
    ]
    commands = {"baseline": baseline_command}
    for plan in FeatureKind:
        commands[plan.value] = _our_command(
            work_folder, "train", "--features", plan, "--name", plan
        )
    seconds_by_command: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(repeats):
        for name, command in commands.items():
            seconds_by_command[name].append(_time_command(command))
    baseline_seconds = np.median(seconds_by_command["baseline"])
    print("training   seconds   x pandas + scikit-learn")
    for name, measurements in seconds_by_command.items():
        median = np.median(measurements)
        print(f"{name:<9} {median:>8.1f} {median / baseline_seconds:>12.2f}", flush=True)


def _compare_backtest(work_folder: Path, readings: Readings, repeats: int) -> None:
    """Compare the command `sensorwatch backtest` with the scoring alone, both on one core.

    To measure the scoring, `score_readings` is called on parsed rows in a warm process, with the
    fastest number of rows per call.
    """
    keep_freed_memory()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # child processes inherit this
    registry = Registry(work_folder / "registry")
    print("backtest   rows/s   scoring alone, rows/s   share")
    for name in FeatureKind:
        options = ["--model", "champion", "--name", name, "--out", str(work_folder / "scores.csv")]
        command = _our_command(work_folder, "backtest", *options)
        detector = registry.load(name, "champion").detector
        rates, scoring_rates = [], []
        for _ in range(repeats):
            rates.append(len(readings) / _time_command(command))
            memory, start_time = detector.empty_memory(), time.perf_counter()
            for start in range(0, len(readings), _CHUNK_ROWS):
                readings_chunk = readings.take(slice(start, start + _CHUNK_ROWS))
                readings_chunk = replace(readings_chunk, index=readings_chunk.index - start)
                score_readings(readings_chunk, [], detector, memory)
            scoring_rates.append(len(readings) / (time.perf_counter() - start_time))
        rate, scoring_rate = np.median(rates), np.median(scoring_rates)
        print(
            f"{name:<9} {rate:>7.0f} {scoring_rate:>23.0f} {rate / scoring_rate:>7.2f}", flush=True
        )


def _our_command(work_folder: Path, command: str, *options: str) -> list[str]:
    location_options = [
        "--schema",
        str(work_folder / "schema.toml"),
        "--registry",
        str(work_folder / "registry"),
    ]
    return [
        "sensorwatch",
        command,
        "--data",
        str(work_folder / "rows.csv"),
        *location_options,
        *options,
    ]


def _time_command(command: list[str]) -> float:
    start_time = time.perf_counter()
    subprocess.run([sys.executable, "-m", *command], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start_time


def some_rows(rows: int, *, seed: int = 0) -> Readings:
    """Return autocorrelated rows of all sensors; each sensor has one row per second."""
    rng = np.random.default_rng(seed)
    steps = -(-rows // SENSORS)
    values: NDArray[np.float64] = rng.normal(size=(steps, SENSORS, SIGNALS))
    for step in range(1, steps):
        values[step] = 0.8 * values[step - 1] + 0.6 * values[step]
    row_number = np.arange(rows, dtype=np.int64)
    return Readings(
        row_number,
        START + 1_000_000 * (row_number // SENSORS),
        (row_number % SENSORS).astype(np.int32),
        tuple(f"sensor-{sensor:03d}" for sensor in range(SENSORS)),
        np.round(values.reshape(-1, SIGNALS)[:rows], 6),
        np.empty((rows, 0)),
    )


def write_csv(readings: Readings, path: Path) -> None:
    """Write rows as a CSV file with a header."""
    header = ",".join(
        ["timestamp", "sensor_id", *(f"s{signal_number}" for signal_number in range(SIGNALS))]
    )
    with path.open("w", encoding="utf-8") as file:
        print(header, file=file)
        for time_text, sensor, values in zip(
            format_instants(readings.event_time),
            readings.sensor.tolist(),
            readings.values.tolist(),
            strict=True,
        ):
            cells = ",".join(map(repr, values))
            file.write(f"{time_text},{readings.sensor_ids[sensor]},{cells}\n")


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.speed.training_benchmark"))
