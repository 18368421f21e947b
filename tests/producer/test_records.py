"""Simulated records and CSV files contain exactly the simulated rows.

The value of a record never contains the fault label.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import Defect, FaultKind
from sensorwatch.common.simulation.stream import Chunk, Simulation, simulate
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.producer.malformed_rows import broken_json
from sensorwatch.producer.simulated_records import SimulatedRecord, simulated_records

SCHEMA_PATH = Path(__file__).parents[2] / "schemas" / "default.toml"
FAULTY_SIMULATION = Simulation(rows=20_000, faults=FaultPlan(rate=0.02))
ROW = {
    "timestamp": "2025-01-01T00:00:00Z",
    "sensor_id": "sensor-000",
    "x1": 1.5,
    "x2": 2.5,
    "x3": 3.5,
}
EXPECTED_REASONS = {
    Defect.TRUNCATED: (Reason.NOT_JSON, Reason.NULL_VALUE),
    Defect.TEXT: (Reason.WRONG_TYPE, Reason.WRONG_TYPE),
    Defect.MISSING_FIELD: (Reason.MISSING_FIELD, Reason.NULL_VALUE),
    Defect.NULL: (Reason.NULL_VALUE, Reason.WRONG_TYPE),
    Defect.NAN: (Reason.NOT_FINITE, Reason.NOT_FINITE),
    Defect.OVERFLOW: (Reason.NOT_FINITE, Reason.NOT_FINITE),
    Defect.OUT_OF_RANGE: (Reason.OUT_OF_RANGE, Reason.OUT_OF_RANGE),
    Defect.BAD_TIMESTAMP: (Reason.BAD_TIMESTAMP, Reason.BAD_TIMESTAMP),
    Defect.BAD_KEY: (Reason.BAD_KEY, Reason.BAD_KEY),
    Defect.NOT_OBJECT: (Reason.NOT_OBJECT, Reason.WRONG_TYPE),
    Defect.FRAMED: (Reason.FRAMED, Reason.BAD_KEY),
    Defect.EMPTY: (Reason.EMPTY, Reason.NULL_VALUE),
}
"""For each simulated defect of a row, the reason of its rejection in JSON and in CSV."""


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(SCHEMA_PATH)


def all_records(simulation: Simulation) -> Iterator[SimulatedRecord]:
    for chunk in simulate(simulation):
        yield from simulated_records(chunk)


def test_the_value_of_a_record_is_bit_identical_to_its_row(schema: Schema) -> None:
    simulation = Simulation(rows=10_000)

    readings, rejections = parse([record.value for record in all_records(simulation)], schema)

    (chunk,) = simulate(simulation)
    assert rejections == []
    assert (readings.values == chunk.values).all()
    assert (readings.event_time == chunk.event_time).all()
    sensor_ids = [readings.sensor_ids[sensor] for sensor in readings.sensor]
    assert sensor_ids == chunk.sensor_id == [record.key for record in all_records(simulation)]


def test_only_malformed_rows_are_rejected_and_every_reason_occurs(schema: Schema) -> None:
    plan = FaultPlan(rate=0.02, kinds=(FaultKind.MALFORMED, FaultKind.SPIKE))
    sent_records = list(all_records(Simulation(rows=20_000, faults=plan)))

    _, rejections = parse([record.value for record in sent_records], schema)

    malformed_indices = [
        index for index, record in enumerate(sent_records) if record.label == FaultKind.MALFORMED
    ]
    assert [rejection.index for rejection in rejections] == malformed_indices
    assert {rejection.reason for rejection in rejections} == {
        json_reason for json_reason, _ in EXPECTED_REASONS.values()
    }


def test_a_label_is_never_in_the_value() -> None:
    sent_records = list(all_records(FAULTY_SIMULATION))

    label_counts = Counter(record.label for record in sent_records)
    assert set(label_counts) == {"", *FaultKind} - {FaultKind.DROPOUT}
    for record in sent_records:
        assert b"label" not in record.value
        assert not record.label or record.label.encode() not in record.value
        if record.label != FaultKind.MALFORMED:
            assert list(json.loads(record.value)) == list(ROW)


@pytest.mark.parametrize("defect", Defect)
def test_each_defect_in_json_is_rejected_for_its_reason(defect: Defect, schema: Schema) -> None:
    _, rejections = parse([broken_json(ROW, defect)], schema)

    assert [rejection.reason for rejection in rejections] == [EXPECTED_REASONS[defect][0]]


@pytest.mark.parametrize("defect", Defect)
def test_each_defect_in_csv_is_rejected_for_its_reason(
    defect: Defect, tmp_path: Path, schema: Schema
) -> None:
    chunk = Chunk(
        np.array([0], dtype=np.int64),
        np.array([0], dtype=np.int32),
        np.array([[1.5, 2.5, 3.5]]),
        np.array([1], dtype=np.int8),
        np.array([1 + list(Defect).index(defect)], dtype=np.int8),
        ("sensor-000",),
    )
    path = tmp_path / "rows.csv"

    write_simulated_csv([chunk], path, labels=True, on_sent=lambda _rows: None)

    _, rejections = collect_rows(read_rows(path, schema), schema)
    assert [rejection.reason for rejection in rejections] == [EXPECTED_REASONS[defect][1]]


@pytest.mark.parametrize("labels", [True, False])
def test_a_csv_file_contains_the_same_rows_as_the_records(
    labels: bool, tmp_path: Path, schema: Schema
) -> None:
    path = tmp_path / "new" / "rows.csv"
    reported_rows: list[int] = []

    rows = write_simulated_csv(
        simulate(FAULTY_SIMULATION), path, labels=labels, on_sent=reported_rows.append
    )

    sent_records = list(all_records(FAULTY_SIMULATION))
    csv_readings, csv_rejections = collect_rows(read_rows(path, schema), schema)
    json_readings, json_rejections = parse([record.value for record in sent_records], schema)
    assert rows == sum(reported_rows) == 20_000
    assert csv_readings.values.tobytes() == json_readings.values.tobytes()
    assert csv_readings.event_time.tobytes() == json_readings.event_time.tobytes()
    assert csv_readings.sensor_ids == json_readings.sensor_ids
    assert [rejection.index for rejection in csv_rejections] == [
        rejection.index for rejection in json_rejections
    ]
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    if labels:
        assert [line["label"] for line in lines] == [record.label for record in sent_records]
    else:
        assert list(lines[0]) == ["sensor_id", "timestamp", "x1", "x2", "x3"]


def test_an_interrupted_run_does_not_replace_a_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("earlier content")

    def interrupted_chunks() -> Iterator[Chunk]:
        yield next(simulate(FAULTY_SIMULATION))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_simulated_csv(interrupted_chunks(), path, labels=False, on_sent=lambda _rows: None)

    assert path.read_text() == "earlier content"
    assert list(tmp_path.iterdir()) == [path]
