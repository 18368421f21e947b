"""Files in forms that users bring are understood; their folder is given from outside."""

import os
import tomllib
from pathlib import Path

import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.schema_text import schema_text

CASES = os.environ.get("SENSORWATCH_TEST_CASES")
pytestmark = pytest.mark.skipif(
    not CASES, reason="SENSORWATCH_TEST_CASES does not name the folder of the example files"
)
MIDNIGHT = "2024-01-01T00:00:00Z"
READ = [
    ("01-decimal-comma/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("02-date-time-columns/d.csv", MIDNIGHT, [20.386, 50.725], 400, ""),
    ("03-air-quality/d.csv", MIDNIGHT, [20.39, 1014.0, 50.72], 400, ""),
    ("04-question-mark-missing/d.csv", MIDNIGHT, [20.386, 50.725], 400, ""),
    ("05-sentinel/d.csv", MIDNIGHT, [20.39, 50.72], 2000, ""),
    ("06-gzip/d.csv.gz", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("07-zip/d.zip", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("07-zip/d.xlsx", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("08-utf16/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("09-cp1252/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("10-toa5/d.dat", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("11-influx-annotated/d.csv", MIDNIGHT, [20.39, 50.72], 200, "dev1"),
    ("13-comment-lines/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("14-sep-line/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("15-intel-lab/d.txt", MIDNIGHT, [20.3865, 50.7247, 45.08, 2.69], 400, "1"),
    ("16-thousands/d.csv", MIDNIGHT, [2038.65, 50.72], 400, ""),
    ("17-epoch-ns/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("17-epoch-us/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    (
        "18-epoch-scientific/d.csv",
        "2024-01-01T00:00:00.385975Z",
        [0.0052038645542595, 50.7, 0.0, 0.0072038645542595, 0.0, 20.4],
        600,
        "b8:27:eb:bf:9d:51",
    ),
    ("19-24-00/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("20-offset-no-colon/d.csv", "2023-12-31T23:00:00Z", [20.39, 50.72], 400, ""),
    ("21-postgres-offset/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("22-utc-suffix/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("23-two-digit-year/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("24-month-names/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("25-excel-serial/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("26-iso-date-T-ms-no-zone-comma/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("27-am-pm/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("29-dotted-header/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("29-dotted-header/d.jsonl", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("30-jsonl/d.jsonl", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("31-newest-first/d.csv", "2024-01-03T01:59:00Z", [21.63, 49.91], 3000, ""),
    ("32-pandas-index-no-name/d.csv", MIDNIGHT, [20.39], 400, ""),
    ("34-cr-only/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("35-nul/d.csv", MIDNIGHT, [20.39, 50.72], 399, ""),
    ("36-truncated-tail/d.csv", MIDNIGHT, [20.39, 50.72], 399, ""),
    ("37-header-repeated/d.csv", MIDNIGHT, [20.39, 50.72], 800, ""),
    ("38-duplicate-columns/d.csv", MIDNIGHT, [20.39, 50.72], 400, ""),
    ("39-tidy/d.csv", MIDNIGHT, [20.39, 50.72], 600, "s1"),
    ("40-bool-words/d.csv", MIDNIGHT, [20.39, 0.0, 0.0], 1500, ""),
    ("41-units-in-cells/d.csv", MIDNIGHT, [20.39, 51.0], 400, ""),
    ("42-nan-words/d.csv", MIDNIGHT, [20.39, 50.72], 1500, ""),
    ("61-uuid-keys/d.csv", MIDNIGHT, [20.06], 3000, ""),
    ("64-epoch-seconds-as-ms/d.csv", MIDNIGHT, [19.47], 500, ""),
    ("65-tidy-scales/d.csv", MIDNIGHT, [19.88, 101331.0], 1600, "d1"),
    ("80-pm25/d.csv", MIDNIGHT, [20.4, 50.7], 400, ""),
    ("80-pm25/d.jsonl", MIDNIGHT, [20.4, 50.7], 400, ""),
    ("81-pandas-doubled-names/d.csv", MIDNIGHT, [20.4, 50.7], 400, ""),
    ("82-float-keys/d.csv", MIDNIGHT, [20.4], 400, "17"),
    ("82-float-keys/d.jsonl", MIDNIGHT, [20.4], 400, "17"),
    ("83-int-id-column/d.csv", MIDNIGHT, [20.4, 50.7], 1500, "1"),
    ("87-json-forms/bom.json", MIDNIGHT, [21.5, 50.0], 1, ""),
    ("87-json-forms/double_encoded.json", MIDNIGHT, [21.5, 50.0], 1, ""),
    ("87-json-forms/epoch_string.json", MIDNIGHT, [21.5, 50.0], 1, ""),
    ("87-json-forms/json_sr.bin", MIDNIGHT, [21.5, 50.0], 1, ""),
    ("87-json-forms/senml.json", MIDNIGHT, [21.5, 50.0], 1, "urn:dev:mac:1:"),
    ("87-json-forms/sparkplug.json", MIDNIGHT, [21.5, 50.0], 1, ""),
    ("87-json-forms/telegraf_batch.json", MIDNIGHT, [21.5, 50.0], 1, "climate"),
    ("87-json-forms/strings.json", MIDNIGHT, [21.5, 50.0], 1, ""),
]
UNDERSTOOD = [
    ("01-decimal-comma/d.csv", "2024-01-01T06:39:00Z", ("Temp", "Feuchte"), None, ()),
    ("02-date-time-columns/d.csv", "2024-01-01T06:39:00Z", ("Voltage", "Power"), None, ()),
    ("03-air-quality/d.csv", "2024-01-17T15:00:00Z", ("CO(GT)", "PT08.S1(CO)", "T"), None, ()),
    ("04-question-mark-missing/d.csv", "2024-01-01T06:39:00Z", ("power", "voltage"), None, ("?",)),
    ("10-toa5/d.dat", "2024-01-01T06:39:00Z", ("AirT_Avg", "RH"), None, ("NAN",)),
    (
        "15-intel-lab/d.txt",
        "2024-01-01T03:26:09.000399Z",
        ("c5", "c6", "c7", "c8"),
        ("c4",),
        (),
    ),
    (
        "18-epoch-scientific/d.csv",
        "2024-01-01T09:59:00.385975Z",
        ("co", "humidity", "light", "lpg", "motion", "temp"),
        ("device",),
        (),
    ),
    ("19-24-00/d.csv", "2024-01-05T03:45:00Z", ("temp", "hum"), None, ()),
    ("25-excel-serial/d.csv", "2024-01-01T06:39:00Z", ("temp", "hum"), None, ()),
    (
        "26-iso-date-T-ms-no-zone-comma/d.csv",
        "2024-01-01T06:39:00.399000Z",
        ("temp", "hum"),
        None,
        (),
    ),
    ("27-am-pm/d.csv", "2024-01-01T06:39:00Z", ("temp", "hum"), None, ()),
    ("31-newest-first/d.csv", "2024-01-01T00:00:00Z", ("temp", "hum"), None, ()),
    ("36-truncated-tail/d.csv", "2024-01-01T06:38:00Z", ("temp", "hum"), None, ()),
    ("38-duplicate-columns/d.csv", "2024-01-01T06:39:00Z", ("value", "value.1"), None, ()),
    ("42-nan-words/d.csv", "2024-01-02T00:59:00Z", ("temp", "hum"), None, ("nan",)),
    ("61-uuid-keys/d.csv", "2024-01-01T00:49:59Z", ("temp",), None, ()),
    ("80-pm25/d.jsonl", "2024-01-01T06:39:00Z", ("PM2.5", "PM10"), None, ()),
    ("83-int-id-column/d.csv", "2024-01-02T00:59:00Z", ("temp", "hum"), ("moteid",), ()),
    ("84-json-nan/d.jsonl", "2024-01-01T06:39:00Z", ("temp", "hum"), None, ("nan",)),
    ("86-mixed-decimal-comma/d.csv", "2024-01-01T08:19:00Z", ("temp", "counts"), None, ()),
]
REFUSED = [
    ("33-time-without-date/d.csv", "have no date"),
    ("87-json-forms/ttn_without_values.json", "no column of numbers"),
]


@pytest.mark.parametrize(("name", "time", "values", "rows", "sensor"), READ, ids=str)
def test_a_file_is_understood_and_read(
    name: str, time: str, values: list[float], rows: int, sensor: str
) -> None:
    path = Path(CASES or "") / name
    schema = schema_from_plain(tomllib.loads(schema_text(infer_file(path), name="case")))

    readings, _ = join_batches(read_batches(path, schema), schema)

    assert len(readings) == rows
    assert format_instant(int(readings.event_time[0])) == time
    assert readings.values[0].tolist() == values
    assert readings.sensor_ids[int(readings.sensor[0])] == (sensor or "default")


@pytest.mark.parametrize(
    ("name", "last_time", "signals", "key", "missing_values"), UNDERSTOOD, ids=str
)
def test_time_signals_key_and_missing_values_are_inferred(
    name: str,
    last_time: str,
    signals: tuple[str, ...],
    key: tuple[str, ...] | None,
    missing_values: tuple[str, ...],
) -> None:
    path = Path(CASES or "") / name
    schema = schema_from_plain(tomllib.loads(schema_text(infer_file(path), name="case")))

    readings, _ = join_batches(read_batches(path, schema), schema)

    assert format_instant(int(readings.event_time[-1])) == last_time
    assert schema.signal_names == signals
    assert (schema.key and schema.key.fields) == key
    assert {signal.missing_values for signal in schema.signals} == {missing_values}


@pytest.mark.parametrize("value", ["-200", "999.9"])
def test_a_suspected_value_is_asked_for(value: str) -> None:
    questions = infer_file(Path(CASES or "") / "05-sentinel/d.csv").questions

    is_in_file = value == "-200"
    assert any(f"--missing-value {value}" in text for text in questions) == is_in_file


@pytest.mark.parametrize(("name", "message"), REFUSED)
def test_a_file_is_refused_with_the_reason(name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        infer_file(Path(CASES or "") / name)
