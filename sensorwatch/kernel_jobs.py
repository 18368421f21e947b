"""`python -m sensorwatch.kernel_jobs JOB...`: compile kernels into the cache, job by job.

Each job calls its kernels on small inputs. `common/runtime/kernel_compilation.py` runs the jobs in
child processes and reads what they print: `compiled KERNEL` and `done JOB`. Each job function
imports the modules that it needs, so that no job waits for the imports of another job.
"""

import io
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from sensorwatch.common.kernel_hooks import on_compiled
from sensorwatch.common.runtime.kernel_compilation import CSV_JOB, JSON_JOB, SCORING_JOB
from sensorwatch.common.runtime.printing import print_line

if TYPE_CHECKING:
    from sensorwatch.common.rows.schema import Schema
    from sensorwatch.common.scoring.detector import Detector

TRAIN_ROWS = 500


def main(jobs: list[str]) -> None:
    """Run the jobs in the given order; print the name of each compiled kernel and finished job."""
    on_compiled(lambda kernel: print_line(f"compiled {kernel}"))
    for job in jobs:
        _JOBS[job]()
        print_line(f"done {job}")


def _compile_csv() -> None:
    """Compile the kernels that read CSV files and write columns of texts."""
    from sensorwatch.common.rows.csv_chunk import chunk_reader
    from sensorwatch.common.scoring.warmup import write_texts

    schema = _row_schema()
    row = b"2025-01-01T00:00:00Z,sensor-1" + b",0.5" * len(schema.signals) + b"\n"
    reader = chunk_reader(schema, schema.paths)
    assert reader is not None
    (readings, _), _ = reader.read(row)
    write_texts(readings)


def _compile_json() -> None:
    """Compile the kernels that parse payloads and split an array of rows."""
    from sensorwatch.common.files.json_array import array_elements
    from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse

    schema = _row_schema()
    row: dict[str, object] = {"timestamp": "2025-01-01T00:00:00Z", "sensor_id": "sensor-1"}
    row |= {signal.name: 0.5 for signal in schema.signals}
    parse([json.dumps(row).encode()] * MIN_PAYLOADS_FOR_KERNEL, schema)
    list(array_elements(io.BytesIO(b"[{}]")))


def _compile_scoring() -> None:
    """Compile the kernels of training, scoring, explanation and the ledger."""
    from sensorwatch.common.rows.strict_parsing import parse_strictly
    from sensorwatch.common.runtime.setting_choices import FeatureKind
    from sensorwatch.common.runtime.setting_keys import TrainerSettings
    from sensorwatch.trainer.training import fit_unregistered

    payloads, schema = _simulated_payloads(), _row_schema()
    # The payloads are not parsed with `parse`, because its kernel belongs to another job.
    readings, _ = parse_strictly(payloads[:TRAIN_ROWS], schema)
    kind_settings = [TrainerSettings(features=features, trees=2) for features in FeatureKind]
    # Trees that are fitted to many rows are too deep for the heap layout; another kernel scores
    # with such trees.
    deep_trees = TrainerSettings(features=FeatureKind.PLAIN, trees=2, max_samples=TRAIN_ROWS)
    for settings in (*kind_settings, deep_trees):
        detector = fit_unregistered(readings, schema, settings)
        _score_like_consumer(payloads[TRAIN_ROWS:], detector)


def _score_like_consumer(payloads: list[bytes], detector: "Detector") -> None:
    """Score, explain and aggregate rows, use a snapshot, and advance an account."""
    from sensorwatch.common.ledger.account import advance_account, open_account
    from sensorwatch.common.rows.strict_parsing import parse_strictly
    from sensorwatch.common.runtime.fingerprint import fingerprint
    from sensorwatch.common.scoring.explanation import explain_rows
    from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
    from sensorwatch.common.scoring.processing import score_readings
    from sensorwatch.common.scoring.score_aggregation import aggregate_scores
    from sensorwatch.common.scoring.silence_rule import SilenceRule
    from sensorwatch.common.scoring.warmup import POLICY_WITH_ALL_KERNELS

    memory = detector.empty_memory(silence_rule=SilenceRule(check_seconds=60.0))
    memory.begin()
    readings, rejections = parse_strictly(payloads, detector.schema)
    detector = detector.under(POLICY_WITH_ALL_KERNELS)
    outcome = score_readings(readings, rejections, detector, memory)
    explain_rows(detector, outcome, np.arange(len(outcome.readings)))
    aggregate_scores(detector, outcome)
    memory_from_bytes(memory_to_bytes(memory), detector)
    advance_account(
        open_account(0, model_version=detector.version, fingerprint=fingerprint()),
        offsets=outcome.positions,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def _simulated_payloads() -> list[bytes]:
    """Return payloads of TRAIN_ROWS healthy rows, then of TRAIN_ROWS rows with faults."""
    from sensorwatch.common.simulation.fault_plan import FaultPlan
    from sensorwatch.common.simulation.stream import Simulation, simulate
    from sensorwatch.producer.simulated_records import simulated_records

    healthy_simulation = Simulation(sensors=5, rows=TRAIN_ROWS)
    faulty_simulation = Simulation(sensors=5, rows=TRAIN_ROWS, faults=FaultPlan(rate=0.02))
    return [
        record.value
        for simulation in (healthy_simulation, faulty_simulation)
        for chunk in simulate(simulation)
        for record in simulated_records(chunk)
    ]


def _row_schema() -> "Schema":
    from sensorwatch.common.rows.schema import schema_from_plain
    from sensorwatch.common.simulation.sensors import SIGNALS

    return schema_from_plain(
        {
            "time": {"field": "timestamp", "format": "rfc3339"},
            "key": {"field": "sensor_id"},
            "signals": [{"name": name} for name in SIGNALS],
        }
    )


_JOBS: dict[str, Callable[[], None]] = {
    CSV_JOB: _compile_csv,
    JSON_JOB: _compile_json,
    SCORING_JOB: _compile_scoring,
}

if __name__ == "__main__":
    main(sys.argv[1:])
