"""Tests of `python -m producer`: output, files, records and exit codes."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.kafka import Kafka
from tests.commands.command_runner import run_in_process

PROJECT_DIR = Path(__file__).parents[2]


def producer_environment(**added_variables: str) -> dict[str, str]:
    inherited_environment = {
        name: value for name, value in os.environ.items() if "SENSORWATCH" not in name
    }
    return {**inherited_environment, "PYTHONPATH": str(PROJECT_DIR), **added_variables}


def run_producer(
    folder: Path, *args: str, **added_variables: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "producer", *args],
        cwd=folder,
        env=producer_environment(**added_variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_sample_file_is_written_without_a_broker_and_has_only_valid_rows(tmp_path: Path) -> None:
    result = run_producer(tmp_path, "--out", "data/raw/sample.csv")

    schema = load_schema(PROJECT_DIR / "schemas" / "default.toml")
    readings, rejections = collect_rows(read_rows(tmp_path / "data/raw/sample.csv", schema), schema)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "wrote 40320 rows of 10 sensors to data/raw/sample.csv\n"
    assert (len(readings), rejections) == (40_320, [])
    assert len(readings.sensor_ids) == 10


def test_the_same_seed_writes_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    common_arguments = ("--rows", "2000", "--faults", "rate=0.01", "--labels", "--sensors", "3")

    for name, seed in (("a", "5"), ("b", "5"), ("c", "6")):
        assert (
            run_producer(tmp_path, "--out", name, "--seed", seed, *common_arguments).returncode == 0
        )

    first_file, same_seed_file, other_seed_file = ((tmp_path / name).read_bytes() for name in "abc")
    assert first_file == same_seed_file != other_seed_file


def test_standard_output_contains_only_json_lines(tmp_path: Path) -> None:
    result = run_producer(
        tmp_path, "--stdout", "--rows", "12", "--faults", "none", "--interval", "60"
    )

    rows = [json.loads(line) for line in result.stdout.splitlines()]
    assert result.returncode == 0
    assert [row["sensor_id"] for row in rows[:2]] == ["sensor-000", "sensor-001"]
    assert rows[-1]["timestamp"] == "2025-01-01T00:01:00Z"
    assert set(rows[0]) == {"timestamp", "sensor_id", "x1", "x2", "x3"}
    assert "delivered 12, failed 0" in result.stderr


def test_a_csv_file_is_sent_as_json_lines(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("when;temp\n1;2.5\n2;x\n")
    (tmp_path / "own.toml").write_text(
        '[time]\nfield = "when"\nformat = "epoch_s"\n[[signals]]\nname = "temp"\n'
        '[csv]\ndelimiter = ";"\n'
    )

    result = run_producer(tmp_path, "--csv", "in.csv", "--schema", "own.toml", "--stdout")

    assert result.stdout == '{"when":1,"temp":2.5}\n{"when":2,"temp":"x"}\n'
    assert result.returncode == 0


def test_a_closed_pipe_ends_an_endless_run_without_an_error_message(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "--stdout", "--rate", "max"],
        cwd=tmp_path,
        env=producer_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stderr is not None

    process.stdout.readline()
    process.stdout.close()
    error_output = process.stderr.read()
    process.stderr.close()

    assert (process.wait(timeout=20), error_output) == (141, b"")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--out", "a.csv", "--stdout"], "--out writes simulated rows"),
        (["--out", "a.csv", "--rate", "5"], "--rate has no effect on --out"),
        (["--labels", "--stdout"], "--labels adds a column to the file of --out"),
        (["--stdout", "--rate", "fast"], '--rate: found "fast"'),
        (["--stdout", "--start", "soon"], "--start: found 'soon'"),
        (["--stdout", "--faults", "kinds=spikes"], 'did you mean "spike"'),
        (["--stdout", "--csv", "missing.csv", "--schema", "no.toml"], "no schema file no.toml"),
        (["--out", "/dev/null/a.csv"], "/dev/null/a.csv cannot be written"),
        (["--sensors", "0"], "--sensors"),
    ],
)
def test_a_usage_error_is_one_line_and_exits_with_2(
    tmp_path: Path, args: list[str], message: str
) -> None:
    result = run_in_process("produce", *args, folder=tmp_path)

    assert result.code == 2
    assert message in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.slow
@pytest.mark.embedded
def test_records_are_delivered_to_the_requested_topic_with_their_labels(
    tmp_path: Path, embedded_broker: EmbeddedBroker
) -> None:
    embedded_broker.create_topic("other-topic")
    (tmp_path / "sensorwatch.toml").write_text(
        f'[kafka]\n"bootstrap.servers" = "{embedded_broker.address}"\n'
    )

    result = run_producer(
        tmp_path, "--rows", "3000", "--topic", "other-topic", "--faults", "rate=0.02"
    )

    assert result.returncode == 0, result.stderr
    assert 'delivered 3000, failed 0, to topic "other-topic"' in result.stderr
    consumer = Consumer(
        reader_config({"bootstrap.servers": embedded_broker.address}, group="reader")
    )
    consumer.subscribe(["other-topic"])
    labels: list[object] = []
    deadline = time.monotonic() + 30
    while len(labels) < 3_000 and time.monotonic() < deadline:
        labels += [
            dict(message.headers() or []).get("sensorwatch-label")
            for message in consumer.consume(1_000, 0.1)
            if not message.error()
        ]
    consumer.close()
    assert len(labels) == 3_000
    assert {b"spike", b"malformed", b"drift", None} <= set(labels)


@pytest.mark.slow
@pytest.mark.embedded
@pytest.mark.parametrize(("signal_number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_signal_ends_an_endless_run_which_reports_its_counts(
    tmp_path: Path, embedded_broker: EmbeddedBroker, signal_number: signal.Signals, code: int
) -> None:
    embedded_broker.create_topic("sensors")
    kafka = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": embedded_broker.address}
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "--rate", "50"],
        cwd=tmp_path,
        env=producer_environment(**kafka),
        stderr=subprocess.PIPE,
        text=True,
    )
    consumer = Consumer(
        reader_config({"bootstrap.servers": embedded_broker.address}, group="watch")
    )
    consumer.subscribe(["sensors"])
    deadline = time.monotonic() + 30
    record_count = 0
    while record_count == 0 and time.monotonic() < deadline:
        record_count += sum(not message.error() for message in consumer.consume(10, 0.1))
    consumer.close()

    process.send_signal(signal_number)
    _, error_output = process.communicate(timeout=20)

    assert record_count
    assert process.returncode == code, error_output
    assert "failed 0" in error_output


@pytest.mark.slow
def test_the_error_names_an_unreachable_broker_and_the_exit_code_is_3(tmp_path: Path) -> None:
    kafka = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}

    result = run_producer(tmp_path, "--rows", "5", **kafka)

    assert result.returncode == 3
    assert "no broker answers at 127.0.0.1:1" in result.stderr


@pytest.mark.broker
def test_a_real_broker_stores_every_record_and_a_missing_topic_is_an_error(
    tmp_path: Path, kafka: Kafka
) -> None:
    topic = kafka.create_unique_topic("produced", partitions=3)
    address = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": kafka.address}

    result = run_producer(tmp_path, "--rows", "20000", "--topic", topic, **address)
    missing_topic_result = run_producer(tmp_path, "--rows", "1", "--topic", "missing", **address)

    assert (result.returncode, missing_topic_result.returncode) == (0, 3), result.stderr
    assert "delivered 20000, failed 0" in result.stderr
    assert 'no topic "missing"' in missing_topic_result.stderr
    assert stored_records(kafka.address, topic, partitions=3) == 20_000


def stored_records(address: str, topic: str, *, partitions: int) -> int:
    reader = Consumer(reader_config({"bootstrap.servers": address}, group="count"))
    watermarks = [
        reader.get_watermark_offsets(TopicPartition(topic, partition), timeout=10)
        for partition in range(partitions)
    ]
    reader.close()
    return sum(high_watermark - low_watermark for low_watermark, high_watermark in watermarks)
