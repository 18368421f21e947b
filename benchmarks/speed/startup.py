"""`python -m benchmarks.speed.startup`: from a process's start to its first scored row.

The consumer reads from the embedded broker, which lets a group's first member wait 3 s for others:
these seconds are no work of ours, and are told apart.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from confluent_kafka import Producer

from benchmarks.speed.rest import SCHEMA, rows_of, simulated, write_models
from common.messaging.embedded import EmbeddedBroker
from common.rows.schema import load_schema
from common.runtime.command_line import run
from common.runtime.keys import Features

TOPICS = ("sensors", "anomalies", "sensors.dlq", "bench.ledger", "bench.state")
MOCK_WAIT_SECONDS = 3.0
DEADLINE_SECONDS = 120.0
_CONFIG = """\
[kafka]
"bootstrap.servers" = "{broker}"
[registry]
path = "{work}/registry"
model = "{model}"
[consumer]
group = "{group}"
delivery = "at_least_once"
http_port = {port}
start = "earliest"
"""


def main(
    turns: Annotated[int, typer.Option(help="How often each is measured; the median counts.")] = 3,
) -> None:
    """Print the seconds to the first scored row, with numba's cache warm and with an empty one."""
    with tempfile.TemporaryDirectory() as folder, EmbeddedBroker() as broker:
        work = Path(folder)
        readings, schema = simulated(), load_schema(SCHEMA)
        write_models(work, readings.take(slice(20_000)), schema)
        rows = rows_of(readings.take(slice(20_000, 20_100)))
        _fill(broker, rows)
        print("service   cache      seconds to the first scored row")
        for name, service in {"consumer": _consumer, "api": _api}.items():
            for cache in ("warm", "first ever"):
                found = [service(work, broker, rows, cache, turn) for turn in range(turns)]
                print(f"{name:<9} {cache:<10} {np.median(found):5.1f}", flush=True)
        print(f"of the consumer's, {MOCK_WAIT_SECONDS:g} s are the embedded broker's wait")


def _fill(broker: EmbeddedBroker, rows: list[dict[str, object]]) -> None:
    for topic in TOPICS:
        broker.create_topic(topic)
    producer = Producer({"bootstrap.servers": broker.address, "log_level": 0})
    for row in rows:
        producer.produce("sensors", json.dumps(row).encode(), key=str(row["sensor_id"]))
    producer.flush()
    producer.close()


def _consumer(
    work: Path, broker: EmbeddedBroker, _rows: list[dict[str, object]], cache: str, turn: int
) -> float:
    port, group = _free_port(), f"bench-{cache.replace(' ', '-')}-{turn}"
    for kind in ("ledger", "state"):
        broker.create_topic(f"{group}.{kind}")

    def scored() -> bool:
        text = _ask(f"http://127.0.0.1:{port}/metrics")
        lines = [line for line in text.splitlines() if line.startswith("sensorwatch_rows_scored")]
        return any(float(line.split()[1]) > 0 for line in lines)

    command = ["consumer", "--config", str(_config(work, broker, port, group))]
    return _time(command, work, cache, turn, scored)


def _api(
    work: Path, broker: EmbeddedBroker, rows: list[dict[str, object]], cache: str, turn: int
) -> float:
    port, body = _free_port(), json.dumps({"rows": rows[:1]}).encode()
    config = _config(work, broker, port, "none")
    command = ["sensorwatch", "serve", "--port", str(port), "--config", str(config)]
    where = f"http://127.0.0.1:{port}/predict"
    return _time(command, work, cache, turn, lambda: '"scored":1' in _ask(where, body))


def _time(
    command: list[str], work: Path, cache: str, turn: int, scored: Callable[[], bool]
) -> float:
    """Start a process, and return the seconds until `scored`."""
    environment = dict(os.environ)
    if cache != "warm":
        environment["NUMBA_CACHE_DIR"] = str(work / f"{command[0]}-{turn}")
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *command], env=environment, stderr=subprocess.DEVNULL
    )
    try:
        while not scored():
            if process.poll() is not None or time.perf_counter() - began > DEADLINE_SECONDS:
                raise RuntimeError(f"{' '.join(command)} scored nothing")
            time.sleep(0.02)
        return time.perf_counter() - began
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def _ask(url: str, body: bytes | None = None) -> str:
    """Return what is answered; nothing where nobody answers yet."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            text: str = answer.read().decode()
            return text
    except OSError:
        return ""


def _config(work: Path, broker: EmbeddedBroker, port: int, group: str) -> Path:
    path = work / f"{group}.toml"
    path.write_text(
        _CONFIG.format(
            broker=broker.address, work=work, model=Features.FORECAST.value, group=group, port=port
        ),
        encoding="utf-8",
    )
    return path


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(run(main, name="python -m benchmarks.speed.startup"))
