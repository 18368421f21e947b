"""`sensorwatch warmup`: compile every kernel ahead, so that no first row waits for it."""

import time

import numpy as np

from sensorwatch.common.ledger.account import advance, open_account
from sensorwatch.common.rows.csv_chunk import ChunkReader
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import schema_of
from sensorwatch.common.runtime.fingerprint import fingerprint
from sensorwatch.common.runtime.printing import print_line
from sensorwatch.common.runtime.setting_keys import Features, TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import signals_of_rows
from sensorwatch.common.scoring.memory_bytes import memory_bytes, memory_of
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.sensors import SIGNALS
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.producer.simulated_records import simulated_records
from sensorwatch.trainer.csv_lines import instants, lines
from sensorwatch.trainer.training import refitted

TRAIN_ROWS, ROWS = 1_000, 1_000
_SCHEMA = schema_of(
    {
        "time": {"field": "timestamp", "format": "rfc3339"},
        "key": {"field": "sensor_id"},
        "signals": [{"name": name} for name in SIGNALS],
    }
)


def warmup() -> None:
    """Compile what scoring, explaining and training need, and keep it in numba's cache.

    The cache holds for this version on this kind of CPU (NUMBA_CACHE_DIR says where it is). Without
    it the first start compiles, and its first rows wait.
    """
    began = time.perf_counter()
    compile_kernels()
    took = time.perf_counter() - began
    print_line(f"every kernel is compiled, in {took:.1f} s; the next start finds them")


def compile_kernels() -> None:
    """Send a small stream the whole way, by each plan, so that nothing is left to compile."""
    payloads = _payloads()
    line = b"2025-01-01T00:00:00Z,sensor-1" + b",0.5" * len(SIGNALS) + b"\n"
    ChunkReader(_SCHEMA, _SCHEMA.paths).read(line)
    readings, _ = parse(payloads[:TRAIN_ROWS], _SCHEMA)
    lines([instants(readings.event_time)])
    for features in Features:
        detector = refitted(readings, _SCHEMA, TrainerSettings(features=features, trees=10))
        _consume(payloads[TRAIN_ROWS:], detector)


def _consume(payloads: list[bytes], detector: Detector) -> None:
    """Do with the rows what a consumer does, from the payload to snapshot and account."""
    memory = detector.cold()
    memory.begin()
    outcome = process(payloads, detector, memory)
    rows = np.arange(len(outcome.readings))
    signals_of_rows(detector, outcome, rows)
    memory_of(memory_bytes(memory), detector)
    advance(
        open_account(0, model_version=detector.version, fingerprint=fingerprint()),
        offsets=outcome.positions,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def _payloads() -> list[bytes]:
    """Simulate healthy rows, then as many with faults of every kind, broken records too."""
    healthy = Simulation(sensors=5, rows=TRAIN_ROWS)
    faulty = Simulation(sensors=5, rows=ROWS, faults=FaultPlan(rate=0.02))
    return [
        record.value
        for simulation in (healthy, faulty)
        for chunk in simulate(simulation)
        for record in simulated_records(chunk)
    ]
