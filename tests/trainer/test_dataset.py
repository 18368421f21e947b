"""Datasets of files and topics: rows, order, digest and errors."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import BrokerUnavailable, DataError
from sensorwatch.common.kafka.client_config import producer_config
from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.trainer.dataset import Dataset, find_files, read_data, sort_by_time
from sensorwatch.trainer.row_serialization import cells_of, payloads_of
from tests.brokers.kafka import Kafka
from tests.brokers.mock_cluster import MockCluster
from tests.reading_builders import a_schema, some_readings
from tests.trainer.training_builders import write_rows


def read_dataset(source: Path | str, *, rows: int | None = None) -> Dataset:
    return read_data(str(source), a_schema(), rows=rows, kafka={})


def have_same_rows(actual: Readings, expected: Readings) -> bool:
    actual, expected = sort_by_time(actual), sort_by_time(expected)
    actual_ids, expected_ids = (
        [readings.sensor_ids[sensor] for sensor in readings.sensor.tolist()]
        for readings in (actual, expected)
    )
    return (
        actual_ids == expected_ids
        and actual.values.tobytes() == expected.values.tobytes()
        and actual.event_time.tobytes() == expected.event_time.tobytes()
    )


def test_rejected_rows_are_counted_by_reason(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", some_readings(20), x1_texts={2: "x", 5: "", 7: "y"})

    dataset = read_dataset(path)

    assert dataset.rows == 20
    assert len(dataset.readings) == 17
    assert dataset.rejected == {"wrong_type": 2, "null_value": 1}
    assert dataset.source.rejected == dataset.rejected


def test_the_digest_of_a_file_is_the_digest_of_its_bytes(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", some_readings(20))

    assert read_dataset(path).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_files_of_a_glob_are_read_in_the_order_of_their_paths(tmp_path: Path) -> None:
    readings = some_readings(30)
    write_rows(tmp_path / "b.csv", readings.take(slice(10, 20)))
    write_rows(tmp_path / "a.csv", readings.take(slice(0, 10)))
    (tmp_path / "d.csv").mkdir()
    write_rows(tmp_path / "c.csv", readings.take(slice(20, 30)))

    dataset = read_dataset(tmp_path / "*.csv")

    assert dataset.readings.values.tobytes() == readings.values.tobytes()
    assert len(read_dataset(tmp_path / "*.csv", rows=15).readings) == 15


def test_a_file_whose_name_is_also_a_glob_is_read(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows[1].csv", some_readings(20))

    assert len(read_dataset(path).readings) == 20


@pytest.mark.parametrize("name", ["nothing.csv", "*.csv"])
def test_a_missing_file_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match="csv: wanted a file, a folder with files"):
        read_dataset(tmp_path / name)


def test_a_source_without_a_valid_row_is_refused_with_the_reasons(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "rows.csv", some_readings(2), x1_texts={0: "x", 1: "y"})

    with pytest.raises(DataError, match=r"no valid row \(2 wrong_type\)"):
        _ = read_dataset(path).source


@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from("abc")), max_size=30))
def test_rows_are_sorted_by_time_then_sensor_then_input_order(
    rows: list[tuple[int, str]],
) -> None:
    readings = build_readings(
        index=range(len(rows)),
        event_time=[time for time, _ in rows],
        sensor_ids=[sensor for _, sensor in rows],
        values=[[float(position)] for position in range(len(rows))],
        signals=1,
    )

    sorted_readings = sort_by_time(readings)

    positions = sorted_readings.values[:, 0].astype(int).tolist()
    assert positions == sorted(range(len(rows)), key=lambda row: (*rows[row], row))
    assert sorted_readings.index.tolist() == list(range(len(rows)))


def produce_payloads(cluster: MockCluster, payloads: list[bytes], *, partitions: int = 3) -> None:
    cluster.create_topic("readings", partitions)
    producer = Producer(producer_config({"bootstrap.servers": cluster.address}))
    for number, payload in enumerate(payloads):
        producer.produce(
            "readings",
            payload,
            partition=number % partitions,
            timestamp=1_735_700_000_000 + 60_000 * number,
        )
    assert producer.flush(30) == 0


@pytest.mark.embedded
def test_a_topic_gives_the_same_readings_as_a_file_of_the_same_rows(
    mock_cluster: MockCluster, tmp_path: Path
) -> None:
    readings = some_readings(200)
    produce_payloads(mock_cluster, payloads_of(cells_of(readings, a_schema()), a_schema()))
    kafka = {"bootstrap.servers": mock_cluster.address}

    dataset = read_data("kafka:readings", a_schema(), kafka=kafka)

    assert len(dataset.readings) == 200
    assert have_same_rows(
        dataset.readings, read_dataset(write_rows(tmp_path / "rows.csv", readings)).readings
    )
    assert dataset.sha256 == read_data("kafka:readings", a_schema(), kafka=kafka).sha256


@pytest.mark.embedded
def test_the_row_limit_selects_the_oldest_records_of_all_partitions(
    mock_cluster: MockCluster,
) -> None:
    readings = some_readings(200)
    produce_payloads(mock_cluster, payloads_of(cells_of(readings, a_schema()), a_schema()))
    kafka = {"bootstrap.servers": mock_cluster.address}

    dataset = read_data("kafka:readings", a_schema(), rows=50, kafka=kafka)

    assert have_same_rows(dataset.readings, readings.take(np.arange(50)))


@pytest.mark.embedded
def test_an_event_time_later_than_the_record_timestamp_is_rejected(
    mock_cluster: MockCluster,
) -> None:
    future_payload = b'{"timestamp": "2025-06-01T00:00:00Z", "x1": 0, "x2": 0, "x3": 0}'
    produce_payloads(mock_cluster, [future_payload, b"{"])

    dataset = read_data(
        "kafka:readings", a_schema(), kafka={"bootstrap.servers": mock_cluster.address}
    )

    assert dataset.rejected == {"future_timestamp": 1, "not_json": 1}


@pytest.mark.embedded
def test_a_missing_topic_is_named(mock_cluster: MockCluster) -> None:
    kafka = {"bootstrap.servers": mock_cluster.address}
    mock_cluster.create_topic("other")
    mock_cluster.set_topic_error("nowhere", 3)  # UNKNOWN_TOPIC_OR_PART

    with pytest.raises(BrokerUnavailable, match='no topic "nowhere"'):
        read_data("kafka:nowhere", a_schema(), kafka=kafka)


@pytest.mark.broker
def test_records_of_an_aborted_transaction_are_not_read(kafka: Kafka) -> None:
    readings = some_readings(60)
    payloads = payloads_of(cells_of(readings, a_schema()), a_schema())
    topic = kafka.create_unique_topic("training", partitions=2)
    settings = {"bootstrap.servers": kafka.address}
    producer = Producer(producer_config(settings, transactional_id=topic))
    producer.init_transactions(30)
    for first_row, is_committed in ((0, True), (20, False), (40, True)):
        producer.begin_transaction()
        for row in range(first_row, first_row + 20):
            producer.produce(topic, payloads[row], partition=row % 2)
        producer.flush(30)
        end_transaction = (
            producer.commit_transaction if is_committed else producer.abort_transaction
        )
        end_transaction(30)

    dataset = read_data(f"kafka:{topic}", a_schema(), kafka=settings)

    assert have_same_rows(dataset.readings, readings.take(np.r_[0:20, 40:60]))


def test_a_folder_is_read_as_its_files_that_are_not_hidden(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".hidden.csv"):
        (tmp_path / name).write_text("timestamp,x1,x2,x3\n")
    (tmp_path / "inner").mkdir()

    assert find_files(str(tmp_path)) == [tmp_path / "a.csv", tmp_path / "b.csv"]
    with pytest.raises(DataError, match="a folder with files"):
        find_files(str(tmp_path / "inner"))


def test_several_files_are_read_in_the_order_of_their_first_times(tmp_path: Path) -> None:
    header = "timestamp,x1,x2,x3\n"
    (tmp_path / "a.csv").write_text(f"{header}bad,1,1,1\n2025-01-02T00:00:00Z,2,2,2\n")
    (tmp_path / "b.csv").write_text(f"{header}2025-01-01T00:00:00Z,1,1,1\n")
    (tmp_path / "c.csv").write_text(header)

    dataset = read_data(str(tmp_path), a_schema(), kafka={})

    assert dataset.readings.values[:, 0].tolist() == [1.0, 2.0]


def test_rows_of_a_file_from_the_future_are_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        "timestamp,x1,x2,x3\n2025-01-01T00:00:00Z,1,1,1\n2106-02-07T06:28:15Z,2,2,2\nbad,3,3,3\n"
        "2025-01-01T00:05:00Z,4,4,4\n"
    )

    dataset = read_data(str(path), a_schema(), as_of=1_735_689_600_000_000, kafka={})

    assert dataset.readings.values[:, 0].tolist() == [1.0, 4.0]
    assert [(rejection.index, rejection.reason) for rejection in dataset.rejections] == [
        (1, Reason.FUTURE_TIMESTAMP),
        (2, Reason.BAD_TIMESTAMP),
    ]
    assert "2025-01-01T00:00:00Z, the time of --as-of" in dataset.rejections[0].detail
    assert dataset.source.as_of == 1_735_689_600_000_000
