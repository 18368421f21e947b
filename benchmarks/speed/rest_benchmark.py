"""`python -m benchmarks.speed.rest_benchmark`: compare /predict with a plain FastAPI server.

Each server is one process. A client in another process sends requests to the servers in turn,
over 8 connections.
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import joblib
import numpy as np
import typer
from sklearn.ensemble import IsolationForest

from sensorwatch.common.model.plan import plain_plan
from sensorwatch.common.registry.candidate import DataSource
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.runtime.command_line import run
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.features import compute_features
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.trainer.training import train

CONNECTIONS = 8
REQUEST_ROWS = (1, 100, 1_000)
ANOMALY_INTERVAL = 100
TRAIN_ROWS, SENSORS = 50_000, 10
SCHEMA = Path("schemas/default.toml")


@dataclass(frozen=True, slots=True)
class ServerFigures:
    """Measurements of one server with requests of one size."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    probe_p99_ms: float


def main(
    seconds: Annotated[float, typer.Option(help="Duration of each measurement.")] = 5.0,
    repeats: Annotated[int, typer.Option(help="Number of measurements; medians are printed.")] = 3,
) -> None:
    """Print requests per second and latencies for requests of 1, 100 and 1,000 rows."""
    with tempfile.TemporaryDirectory() as folder:
        work_folder = Path(folder)
        readings, schema = simulate_rows(), load_schema(SCHEMA)
        write_models(work_folder, readings.take(slice(TRAIN_ROWS)), schema)
        rows = rows_of(readings.take(slice(TRAIN_ROWS, None)))
        for size in REQUEST_ROWS:
            (work_folder / f"{size}.json").write_text(
                json.dumps(_request_bodies(rows, size)), encoding="utf-8"
            )
        with _running_servers(work_folder) as ports:
            _compare_servers(work_folder, ports, seconds, repeats)


def _compare_servers(
    work_folder: Path, ports: dict[str, int], seconds: float, repeats: int
) -> None:
    print("rows  server     requests/s   p50 ms   p99 ms   /livez p99 ms   x plain")
    for size in REQUEST_ROWS:
        bodies = work_folder / f"{size}.json"
        figures_by_server: dict[str, list[ServerFigures]] = {name: [] for name in ports}
        for port in ports.values():
            _measure_server(port, bodies, 1.0)  # warm-up
        for _ in range(repeats):
            for name, port in ports.items():
                figures_by_server[name].append(_measure_server(port, bodies, seconds))
        baseline = _median_of(figures_by_server["baseline"])
        for name, measurements in figures_by_server.items():
            median_figures = _median_of(measurements)
            print(
                f"{size:>4}  {name:<9} {median_figures.requests_per_second:>11.0f} "
                f"{median_figures.p50_ms:>8.1f} "
                f"{median_figures.p99_ms:>8.1f} {median_figures.probe_p99_ms:>15.1f} "
                f"{median_figures.requests_per_second / baseline.requests_per_second:>9.1f}",
                flush=True,
            )


def _measure_server(port: int, bodies: Path, seconds: float) -> ServerFigures:
    command = [sys.executable, "-m", "benchmarks.speed.http_load_generator", str(port), str(bodies)]
    generator_run = subprocess.run([*command, str(seconds)], check=True, stdout=subprocess.PIPE)
    load_measurements = json.loads(generator_run.stdout)
    response_milliseconds, probe = (
        1e3 * np.asarray(load_measurements[name]) for name in ("rows", "probe")
    )
    return ServerFigures(
        len(response_milliseconds) / seconds,
        float(np.median(response_milliseconds)),
        float(np.quantile(response_milliseconds, 0.99)),
        float(np.quantile(probe, 0.99)),
    )


def _median_of(measurements: list[ServerFigures]) -> ServerFigures:
    columns = [
        (
            figures.requests_per_second,
            figures.p50_ms,
            figures.p99_ms,
            figures.probe_p99_ms,
        )
        for figures in measurements
    ]
    return ServerFigures(*np.median(columns, axis=0).tolist())


@contextmanager
def _running_servers(work_folder: Path) -> Iterator[dict[str, int]]:
    """Start all servers; yield a mapping from a server's name to its port."""
    ports = {name: _free_port() for name in ("baseline", *FeatureKind)}
    baseline = [
        "benchmarks.speed.tutorial_server",
        str(work_folder / "forest.joblib"),
        str(ports["baseline"]),
    ]
    processes = [subprocess.Popen([sys.executable, "-m", *baseline])]
    for name in FeatureKind:
        config = work_folder / f"{name}.toml"
        registry = f'[registry]\npath = "{work_folder / "registry"}"\nmodel = "{name}"\n'
        config.write_text(registry + '[log]\nlevel = "warning"\n', encoding="utf-8")
        command = [sys.executable, "-m", "sensorwatch", "serve", "--port", str(ports[name])]
        processes.append(subprocess.Popen([*command, "--config", str(config)]))
    try:
        for port in ports.values():
            _wait_for(port)
        yield ports
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 120
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


def simulate_rows() -> Readings:
    """Return simulated rows: first the training rows, then the rows of the requests."""
    rows = TRAIN_ROWS + CONNECTIONS * REQUEST_ROWS[-1]
    simulation = Simulation(sensors=SENSORS, rows=rows, chunk_rows=rows)
    (chunk,) = simulate(simulation)
    return Readings(
        np.arange(rows, dtype=np.int64),
        chunk.event_time,
        chunk.sensor,
        chunk.sensor_ids,
        chunk.values,
        np.empty((rows, 0)),
    )


def write_models(work_folder: Path, readings: Readings, schema: Schema) -> None:
    """Train and register a model for each kind of features, and write scikit-learn's forest."""
    times = readings.event_time
    source = DataSource(
        uri="simulated",
        sha256="0" * 64,
        first_time=int(times.min()),
        last_time=int(times.max()),
        rows=len(times),
    )
    registry = Registry(work_folder / "registry")
    for name in FeatureKind:
        trained_model = train(readings, schema, source, TrainerSettings(features=name))
        version = registry.register(name, trained_model, who="benchmark", why="speed")
        registry.promote(name, version, who="benchmark", why="speed", force="benchmark")
    forest = IsolationForest(random_state=0, contamination=0.005)
    joblib.dump(
        forest.fit(compute_features(readings, plain_plan(schema))), work_folder / "forest.joblib"
    )


def rows_of(readings: Readings) -> list[dict[str, object]]:
    """Return readings as rows of a request; make every hundredth row anomalous."""
    values = readings.values.copy()
    values[::ANOMALY_INTERVAL] += 30.0
    names = ("x1", "x2", "x3")
    return [
        {"timestamp": format_instant(time), "sensor_id": readings.sensor_ids[sensor]}
        | dict(zip(names, row, strict=True))
        for time, sensor, row in zip(
            readings.event_time.tolist(), readings.sensor.tolist(), values.tolist(), strict=True
        )
    ]


def _request_bodies(rows: list[dict[str, object]], size: int) -> list[str]:
    """Return one request body per connection. In requests of one row, the row is normal."""
    first_rows = range(0 if size > 1 else 1, CONNECTIONS * REQUEST_ROWS[-1], REQUEST_ROWS[-1])
    return [json.dumps({"rows": rows[start : start + size]}) for start in first_rows]


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.speed.rest_benchmark"))
