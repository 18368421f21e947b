"""Simulated records and CSV files contain the exact rows, and the value never shows the label."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import Defect, FaultKind
from sensorwatch.common.simulation.stream import Chunk, Simulation, simulate
from sensorwatch.common.tables import read_rows
from sensorwatch.producer.csv_sink import write_simulated_csv
from sensorwatch.producer.malformed_rows import broken_json
from sensorwatch.producer.simulated_records import Record, simulated_records

SCHEMA_PATH = Path(__file__).parents[2] / "schemas" / "default.toml"
FAULTY = Simulation(rows=20_000, faults=FaultPlan(rate=0.02))
ROW = {
    "timestamp": "2025-01-01T00:00:00Z",
    "sensor_id": "sensor-000",
    "x1": 1.5,
    "x2": 2.5,
    "x3": 3.5,
}
EXPECTED = {
    Defect.TRUNCATED: (Reason.NOT_JSON, Reason.NULL_VALUE),
    Defect.TEXT: (Reason.WRONG_TYPE, Reason.WRONG_TYPE),
    Defect.MISSING_FIELD: (Reason.MISSING_FIELD, Reason.NULL_VALUE),
    Defect.NULL: (Reason.NULL_VALUE, Reason.WRONG_TYPE),
    Defect.NAN: (Reason.NOT_JSON, Reason.NOT_FINITE),
    Defect.OVERFLOW: (Reason.NOT_FINITE, Reason.NOT_FINITE),
    Defect.OUT_OF_RANGE: (Reason.OUT_OF_RANGE, Reason.OUT_OF_RANGE),
    Defect.BAD_TIMESTAMP: (Reason.BAD_TIMESTAMP, Reason.BAD_TIMESTAMP),
    Defect.BAD_KEY: (Reason.BAD_KEY, Reason.BAD_KEY),
    Defect.NOT_OBJECT: (Reason.NOT_OBJECT, Reason.WRONG_TYPE),
    Defect.FRAMED: (Reason.FRAMED, Reason.BAD_KEY),
    Defect.EMPTY: (Reason.EMPTY, Reason.NULL_VALUE),
}
"""By defect: the reason as JSON, the reason as CSV cells."""


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(SCHEMA_PATH)


def records(simulation: Simulation) -> Iterator[Record]:
    for chunk in simulate(simulation):
        yield from simulated_records(chunk)


def test_a_records_value_is_its_row_bit_for_bit(schema: Schema) -> None:
    simulation = Simulation(rows=10_000)

    readings, rejections = parse([record.value for record in records(simulation)], schema)

    (chunk,) = simulate(simulation)
    assert rejections == []
    assert (readings.values == chunk.values).all()
    assert (readings.event_time == chunk.event_time).all()
    names = [readings.sensor_ids[sensor] for sensor in readings.sensor]
    assert names == chunk.sensor_id == [record.key for record in records(simulation)]


def test_only_malformed_rows_are_rejected_for_many_reasons(schema: Schema) -> None:
    plan = FaultPlan(rate=0.02, kinds=(FaultKind.MALFORMED, FaultKind.SPIKE))
    sent = list(records(Simulation(rows=20_000, faults=plan)))

    _, rejections = parse([record.value for record in sent], schema)

    malformed = [index for index, record in enumerate(sent) if record.label == FaultKind.MALFORMED]
    assert [rejection.index for rejection in rejections] == malformed
    assert {rejection.reason for rejection in rejections} == {
        as_json for as_json, _ in EXPECTED.values()
    }


def test_a_label_is_never_in_the_value() -> None:
    sent = list(records(FAULTY))

    labels = Counter(record.label for record in sent)
    assert set(labels) == {"", *FaultKind} - {FaultKind.DROPOUT}
    for record in sent:
        assert b"label" not in record.value
        assert not record.label or record.label.encode() not in record.value
        if record.label != FaultKind.MALFORMED:
            assert list(json.loads(record.value)) == list(ROW)


@pytest.mark.parametrize("defect", Defect)
def test_each_defect_is_rejected_for_its_reason_as_json(defect: Defect, schema: Schema) -> None:
    _, rejections = parse([broken_json(ROW, defect)], schema)

    assert [rejection.reason for rejection in rejections] == [EXPECTED[defect][0]]


@pytest.mark.parametrize("defect", Defect)
def test_each_defect_is_rejected_for_its_reason_as_csv(
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
    assert [rejection.reason for rejection in rejections] == [EXPECTED[defect][1]]


@pytest.mark.parametrize("labels", [True, False])
def test_a_csv_file_contains_the_same_rows_as_the_records(
    labels: bool, tmp_path: Path, schema: Schema
) -> None:
    path = tmp_path / "new" / "rows.csv"
    reported_rows: list[int] = []

    rows = write_simulated_csv(simulate(FAULTY), path, labels=labels, on_sent=reported_rows.append)

    sent = list(records(FAULTY))
    from_csv, rejected_csv = collect_rows(read_rows(path, schema), schema)
    from_json, rejected_json = parse([record.value for record in sent], schema)
    assert rows == sum(reported_rows) == 20_000
    assert from_csv.values.tobytes() == from_json.values.tobytes()
    assert from_csv.event_time.tobytes() == from_json.event_time.tobytes()
    assert from_csv.sensor_ids == from_json.sensor_ids
    assert [bad.index for bad in rejected_csv] == [bad.index for bad in rejected_json]
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    if labels:
        assert [line["label"] for line in lines] == [record.label for record in sent]
    else:
        assert list(lines[0]) == ["sensor_id", "timestamp", "x1", "x2", "x3"]


def test_an_interrupted_run_does_not_replace_a_complete_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("earlier content")

    def interrupted_chunks() -> Iterator[Chunk]:
        yield next(simulate(FAULTY))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_simulated_csv(interrupted_chunks(), path, labels=False, on_sent=lambda _rows: None)

    assert path.read_text() == "earlier content"
    assert list(tmp_path.iterdir()) == [path]
