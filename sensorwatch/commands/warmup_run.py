"""A run of `warmup`: call every kernel once, so that numba compiles it."""

import numpy as np

from sensorwatch.common.ledger.account import advance_account, open_account
from sensorwatch.common.rows.csv_chunk import ChunkReader
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.runtime.fingerprint import fingerprint
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import explain_rows
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.sensors import SIGNALS
from sensorwatch.common.simulation.stream import Simulation, simulate
from sensorwatch.producer.simulated_records import simulated_records
from sensorwatch.trainer.csv_lines import join_lines, time_cells
from sensorwatch.trainer.training import fit_unregistered

TRAIN_ROWS, FAULTY_ROWS = 1_000, 1_000
_SCHEMA = schema_from_plain(
    {
        "time": {"field": "timestamp", "format": "rfc3339"},
        "key": {"field": "sensor_id"},
        "signals": [{"name": name} for name in SIGNALS],
    }
)


def compile_kernels() -> None:
    """Compile every kernel: train and score a small stream with each kind of features."""
    payloads = _payloads()
    csv_row = b"2025-01-01T00:00:00Z,sensor-1" + b",0.5" * len(SIGNALS) + b"\n"
    ChunkReader(_SCHEMA, _SCHEMA.paths).read(csv_row)
    readings, _ = parse(payloads[:TRAIN_ROWS], _SCHEMA)
    join_lines([time_cells(readings.event_time)])
    for features in FeatureKind:
        detector = fit_unregistered(readings, _SCHEMA, TrainerSettings(features=features, trees=10))
        _score_like_consumer(payloads[TRAIN_ROWS:], detector)


def _score_like_consumer(payloads: list[bytes], detector: Detector) -> None:
    """Process rows as the consumer does: score, explain, write a snapshot, advance the account."""
    memory = detector.empty_memory()
    memory.begin()
    outcome = process(payloads, detector, memory)
    rows = np.arange(len(outcome.readings))
    explain_rows(detector, outcome, rows)
    memory_from_bytes(memory_to_bytes(memory), detector)
    advance_account(
        open_account(0, model_version=detector.version, fingerprint=fingerprint()),
        offsets=outcome.positions,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def _payloads() -> list[bytes]:
    """Return simulated payloads: healthy rows, then rows with faults and malformed records."""
    healthy = Simulation(sensors=5, rows=TRAIN_ROWS)
    faulty = Simulation(sensors=5, rows=FAULTY_ROWS, faults=FaultPlan(rate=0.02))
    return [
        record.value
        for simulation in (healthy, faulty)
        for chunk in simulate(simulation)
        for record in simulated_records(chunk)
    ]
