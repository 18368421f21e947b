"""The schemas in schemas/payloads read the payloads that each format's documents describe."""

import json
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.records import parse_records
from sensorwatch.common.rows.schema import Schema, load_schema
from sensorwatch.common.rows.senml import resolve_senml
from tests.reading_builders import row_values

FOLDER = Path(__file__).parents[2] / "schemas" / "payloads"
DEVICE_SOURCE = {"@key": "device-1"}

SENML_PACK = [
    {
        "bn": "urn:dev:ow:10e2073a0108006:",
        "bt": 1.276020076001e09,
        "bu": "A",
        "bver": 5,
        "n": "voltage",
        "u": "V",
        "v": 120.1,
    },
    {"n": "current", "t": -5, "v": 1.2},
    {"n": "current", "t": -4, "v": 1.3},
    {"n": "current", "v": 1.7},
]
"""The pack of RFC 8428, section 5.1.2, without two of its elements."""

SPARKPLUG = {
    "timestamp": 1486144502122,
    "metrics": [
        {
            "name": "Inputs/temperature",
            "timestamp": 1486144502122,
            "dataType": "String",
            "value": "21.5",
        },
        {"name": "Outputs/fan", "timestamp": 1486144502122, "dataType": "Boolean", "value": True},
        {"name": "Inputs/other", "timestamp": 1486144502122, "dataType": "Int32", "intValue": 7},
    ],
    "seq": 2,
}

TELEGRAF = {
    "metrics": [
        {
            "fields": {"usage_idle": 98.09, "usage_system": 0.5, "usage_user": 1.2},
            "name": "cpu",
            "tags": {"cpu": "cpu-total", "host": "web1"},
            "timestamp": 1458229140,
        },
        {
            "fields": {"usage_idle": 97.0, "usage_system": 0.7},
            "name": "cpu",
            "tags": {"host": "web2"},
            "timestamp": 1458229140,
        },
    ]
}

OPC_UA = {
    "MessageId": "32235546-05d9-4fd7-97df-ea3ff3408574",
    "MessageType": "ua-data",
    "PublisherId": "MQTT-Localhost",
    "Messages": [
        {
            "DataSetWriterId": "uat46f9f8f82fd5c1b4",
            "SequenceNumber": 5,
            "Timestamp": "2018-05-11T13:31:15.8402000Z",
            "Payload": {
                "Temperature": {"Value": 21.5, "SourceTimestamp": "2018-05-11T13:31:15Z"},
                "Pressure": {"Value": 1013},
            },
        }
    ],
}

AWS = {"temperature": 21.5, "humidity": 50, "device": "d1", "ts": 1481825251155}

AZURE = {
    "EnqueuedTimeUtc": "2018-04-12T00:00:00.6260000Z",
    "Properties": {},
    "SystemProperties": {
        "connectionDeviceId": "d1",
        "iothub-connection-device-id": "d1",
        "iothub-enqueuedtime": "2018-04-12T00:00:00.6260000Z",
    },
    "Body": {"temperature": 21.5, "humidity": 50},
}

THINGSBOARD = [
    {"ts": 1451649600512, "values": {"temperature": 21.5, "humidity": 50}},
    {"ts": 1451649660512, "values": {"temperature": 22, "humidity": 51}},
]

TTN = {
    "end_device_ids": {"device_id": "dev1", "application_ids": {"application_id": "app1"}},
    "received_at": "2020-02-12T15:15:48.123456789Z",
    "uplink_message": {
        "f_port": 1,
        "frm_payload": "gkHe",
        "decoded_payload": {"temperature": 1.0, "battery": 3.2},
        "received_at": "2020-02-12T15:15:45.787654321Z",
    },
}


def read_records(schema: Schema, *records: object, **options: Any) -> Readings:
    payloads = [json.dumps(record).encode() for record in records]
    parsed = parse_records(payloads, schema, **options)
    assert parsed.rejections == []
    return parsed.readings


def rows_of(readings: Readings) -> list[tuple[str, str, list[float | None]]]:
    """Return time, sensor and values of each reading; None for a missing value."""
    return [(format_instant(time), sensor, values) for time, sensor, values in row_values(readings)]


SENML_ROWS = [
    ("2010-06-08T18:01:16.001000Z", "urn:dev:ow:10e2073a0108006:", [120.1, 1.7]),
    ("2010-06-08T18:01:11.001000Z", "urn:dev:ow:10e2073a0108006:", [None, 1.2]),
    ("2010-06-08T18:01:12.001000Z", "urn:dev:ow:10e2073a0108006:", [None, 1.3]),
]


@pytest.mark.parametrize(
    ("name", "record", "rows"),
    [
        ("senml", SENML_PACK, SENML_ROWS),
        ("sparkplug-b", SPARKPLUG, [("2017-02-03T17:55:02.122000Z", "device-1", [21.5, 1])]),
        (
            "telegraf",
            TELEGRAF,
            [
                ("2016-03-17T15:39:00Z", "web1/cpu", [98.09, 0.5]),
                ("2016-03-17T15:39:00Z", "web2/cpu", [97.0, 0.7]),
            ],
        ),
        (
            "opc-ua-pubsub",
            OPC_UA,
            [("2018-05-11T13:31:15.840200Z", "MQTT-Localhost/uat46f9f8f82fd5c1b4", [21.5, 1013])],
        ),
        ("aws-iot", AWS, [("2016-12-15T18:07:31.155000Z", "d1", [21.5, 50])]),
        ("azure-iot-hub", AZURE, [("2018-04-12T00:00:00.626000Z", "d1", [21.5, 50])]),
        (
            "thingsboard",
            THINGSBOARD,
            [
                ("2016-01-01T12:00:00.512000Z", "device-1", [21.5, 50]),
                ("2016-01-01T12:01:00.512000Z", "device-1", [22, 51]),
            ],
        ),
        ("the-things-network", TTN, [("2020-02-12T15:15:45.787654Z", "dev1", [1.0, 3.2])]),
    ],
)
def test_a_payload_of_each_format_is_read(
    name: str, record: object, rows: list[tuple[str, str, list[float | None]]]
) -> None:
    schema = load_schema(FOLDER / f"{name}.toml")
    sources = [DEVICE_SOURCE] if schema.source_names else None

    assert rows_of(read_records(schema, record, sources=sources)) == rows


def test_states_of_home_assistant_are_joined_by_the_minute() -> None:
    schema = load_schema(FOLDER / "home-assistant.toml")

    def state(entity: str, text: str, second: int) -> dict[str, object]:
        return {
            "entity_id": entity,
            "state": text,
            "attributes": {"unit_of_measurement": "°C"},
            "last_changed": f"2024-01-01T00:0{second // 60}:{second % 60:02}.123456+00:00",
        }

    readings = read_records(
        schema,
        state("sensor.living_room_temperature", "21.5", 0),
        state("switch.heating", "on", 10),
        state("sensor.living_room_temperature", "unavailable", 20),
        state("light.kitchen", "off", 30),
        state("switch.heating", "off", 70),
        open_rows=OpenRows(),
    )

    assert rows_of(readings) == [("2024-01-01T00:00:00Z", "default", [21.5, 1])]


def test_every_payload_schema_is_tested() -> None:
    tested = {"senml", "sparkplug-b", "telegraf", "opc-ua-pubsub", "aws-iot", "azure-iot-hub"}
    tested |= {"thingsboard", "the-things-network", "home-assistant"}

    assert {path.stem for path in FOLDER.glob("*.toml")} == tested


@pytest.mark.parametrize("indent", [None, 1])
def test_senml_packs_are_read_from_files(tmp_path: Path, indent: int | None) -> None:
    schema, path = load_schema(FOLDER / "senml.toml"), tmp_path / "packs.json"
    path.write_text(json.dumps(SENML_PACK, indent=indent))

    assert rows_of(join_batches(read_batches(path, schema), schema)[0]) == SENML_ROWS


def test_relative_times_of_senml_are_relative_to_the_receive_time() -> None:
    pack = [{"bn": "d", "n": "voltage", "t": -5, "v": 1}, {"n": "voltage", "v": 2}]

    assert all("t" not in element for element in resolve_senml(pack) if isinstance(element, dict))
    schema = load_schema(FOLDER / "senml.toml")
    readings = read_records(schema, pack, received=[1_735_689_600_000_000])
    assert rows_of(readings) == [
        ("2024-12-31T23:59:55Z", "d", [1, None]),
        ("2025-01-01T00:00:00Z", "d", [2, None]),
    ]


def test_base_values_apply_to_later_elements_only() -> None:
    pack = [{"n": "a", "v": 1}, {"bv": 10, "bn": "d", "bu": "V", "n": "b"}, {"n": "c", "v": -1}, 7]

    assert resolve_senml(pack, sent_seconds=0.5) == [
        {"n": "a", "v": 1, "t": 0.5},
        {"bn": "d", "n": "b", "u": "V", "v": 10.0, "t": 0.5},
        {"bn": "d", "n": "c", "u": "V", "v": 9.0, "t": 0.5},
        7,
    ]


@pytest.mark.parametrize("part", [{"bt": "x"}, {"t": None}, {"bv": True}, {"bv": 10**400}])
def test_base_fields_of_a_wrong_type_reject_their_element(part: dict[str, object]) -> None:
    schema = load_schema(FOLDER / "senml.toml")
    pack = [{"bn": "d", "bt": 1.7e9, "n": "voltage", "v": 1} | part]

    parsed = parse_records([json.dumps(pack).encode()], schema)

    assert len(parsed.readings) == 0
    assert parsed.rejections[0].rows == (0,)
