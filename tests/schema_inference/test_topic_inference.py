"""A schema is inferred from the newest records of a topic."""

import gzip
import json
import tomllib
from pathlib import Path

import pytest
from confluent_kafka import Producer

from sensorwatch.common.errors import BrokerUnavailable, DataError
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.rows.schema import load_schema, schema_from_plain
from sensorwatch.schema_inference import topic_inference
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.schema_text import schema_text
from sensorwatch.schema_inference.topic_inference import (
    SampleRecord,
    infer_topic,
    newest_records,
    read_record_sample,
)
from tests.brokers.mock_cluster import MockCluster
from tests.commands.command_runner import run_in_process

START_MS = 1_735_689_600_000  # 2025-01-01T00:00:00Z


def payload_of(minute: int) -> bytes:
    time = f"2025-01-01T{minute // 60:02}:{minute % 60:02}:00Z"
    row = {"time": time, "pump": f"p{minute % 2}", "temp": 20 + minute / 8, "on": minute % 3}
    return json.dumps(row).encode()


def produce(cluster: MockCluster, payloads: list[bytes | None], *, partitions: int = 3) -> None:
    cluster.create_topic("readings", partitions)
    producer = Producer(producer_config({"bootstrap.servers": cluster.address}))
    for number, payload in enumerate(payloads):
        producer.produce(
            "readings",
            payload,
            partition=number % partitions,
            timestamp=START_MS + 60_000 * number,
        )
    assert producer.flush(30) == 0


def settings_of(cluster: MockCluster) -> dict[str, str]:
    return {"bootstrap.servers": cluster.address}


@pytest.mark.embedded
def test_the_command_infers_from_a_topic_and_reads_its_rows(
    mock_cluster: MockCluster, tmp_path: Path
) -> None:
    payloads: list[bytes | None] = [payload_of(minute) for minute in range(60)]
    payloads[30] = gzip.compress(payload_of(30))
    payloads += [None, b"hello"]
    produce(mock_cluster, payloads)
    config, schema_file = tmp_path / "sensorwatch.toml", tmp_path / "mine.toml"
    config.write_text(f'[kafka]\n"bootstrap.servers" = "{mock_cluster.address}"\n')

    result = run_in_process(
        "schema", "infer", "kafka:readings", "--out", schema_file, "--config", config
    )

    assert result.code == 0, result.err
    assert "file       JSON on a topic" in result.out
    assert "2 of 62 rows are not JSON objects" in result.out
    assert "rows       62 read, 60 valid" in result.out
    assert "times      2025-01-01T00:00:00Z to 2025-01-01T00:59:00Z" in result.out
    assert "run: sensorwatch topics check" in result.out
    schema = load_schema(schema_file)
    assert schema.name == "readings"
    assert schema.signal_names == ("temp", "on")
    assert schema.key is not None


@pytest.mark.embedded
def test_the_newest_records_of_each_partition_are_read_up_to_the_limits(
    mock_cluster: MockCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    produce(mock_cluster, [b"%03d" % number for number in range(90)])

    monkeypatch.setattr(topic_inference, "MAX_RECORDS", 30)
    records = newest_records(settings_of(mock_cluster), "readings")
    assert [int(record.payload) for record in records] == [*range(60, 90)]
    assert records[0].received == (START_MS + 60 * 60_000) * 1000

    monkeypatch.setattr(topic_inference, "MAX_BYTES", 3 * 12)
    records = newest_records(settings_of(mock_cluster), "readings")
    assert [int(record.payload) for record in records] == [*range(78, 90)]


@pytest.mark.embedded
def test_an_empty_and_a_missing_topic_are_named(mock_cluster: MockCluster) -> None:
    produce(mock_cluster, [])
    mock_cluster.set_topic_error("nowhere", 3)  # UNKNOWN_TOPIC_OR_PART

    with pytest.raises(DataError, match="kafka:readings has no record"):
        newest_records(settings_of(mock_cluster), "readings")
    with pytest.raises(BrokerUnavailable, match='no topic "nowhere"'):
        newest_records(settings_of(mock_cluster), "nowhere")
    with pytest.raises(DataError, match="names no topic"):
        newest_records(settings_of(mock_cluster), "")


def test_records_in_long_form_are_understood() -> None:
    rows = [
        {"time": f"2025-01-01T00:{n // 2:02}:00Z", "metric": ("temp", "hum")[n % 2], "value": n}
        for n in range(100)
    ]
    records = [SampleRecord(json.dumps(row).encode(), None) for row in rows]

    schema = schema_from_plain(
        tomllib.loads(schema_text(infer_topic("t", records, InferenceOptions()), name="t"))
    )

    assert schema.signal_names == ("temp", "hum")
    assert schema.bucket_us == 60_000_000
    assert read_record_sample(records, schema).readings.values.tolist()[-1] == [98.0, 99.0]


def test_the_key_of_the_records_can_be_the_sensor() -> None:
    rows = [{"time": f"2025-01-01T00:{n // 2:02}:00Z", "temp": 20 + n % 7} for n in range(100)]
    records = [
        SampleRecord(json.dumps(row).encode(), None, f"pump-{n % 2}") for n, row in enumerate(rows)
    ]

    schema = schema_from_plain(
        tomllib.loads(schema_text(infer_topic("t", records, InferenceOptions()), name="t"))
    )

    assert schema.key is not None
    assert schema.key.fields == ("@key",)
    sample = read_record_sample(records, schema)
    assert (sample.readings.sensor_ids, sample.rejections) == (("pump-0", "pump-1"), [])


def test_records_that_are_no_json_are_named() -> None:
    with pytest.raises(DataError, match="kafka:t: no row is a JSON object"):
        infer_topic("t", [SampleRecord(b"1;2;3", None)], InferenceOptions())
