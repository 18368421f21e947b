"""A backtest scores rows as the consumer does, and writes complete files."""

import csv
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.processing import process, score_readings
from sensorwatch.trainer.backtest import score_records
from sensorwatch.trainer.score_table import SCORE_COLUMNS, ScoreTable, rejected_path
from sensorwatch.trainer.unregistered_model import fit_on_first_records
from tests.reading_builders import a_detector, a_schema, some_readings
from tests.trainer.training_builders import TRAINER_SETTINGS, write_rows

BAD_X1_TEXTS = {3: "oops", 130: "", 131: "inf", 250: "5000"}


@pytest.fixture
def rows_file(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "rows.csv", some_readings(300), x1_texts=BAD_X1_TEXTS)


def backtest(rows_file: Path, output_path: Path, *, train_rows: int, max_rows: int = 64) -> None:
    records = iter(read_rows(rows_file, a_schema()))
    detector, memory, rejections = fit_on_first_records(
        records, a_schema(), TRAINER_SETTINGS, rows=train_rows, uri=str(rows_file)
    )
    with ScoreTable(output_path, detector) as scores:
        scores.write_rejected(rejections)
        for outcome in score_records(
            records, detector, memory, first_row=train_rows, max_rows=max_rows
        ):
            scores.write(outcome)


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_each_accepted_row_after_the_training_rows_has_one_line_in_order(
    rows_file: Path, tmp_path: Path
) -> None:
    backtest(rows_file, tmp_path / "scores.csv", train_rows=100)

    scores = csv_rows(tmp_path / "scores.csv")

    assert tuple(scores[0]) == SCORE_COLUMNS
    assert [int(line["row"]) for line in scores] == [
        r for r in range(100, 300) if r not in BAD_X1_TEXTS
    ]
    readings = some_readings(300)
    assert scores[0]["event_time"] == format_instant(int(readings.event_time[100]))
    assert scores[1]["sensor_id"] == "s1"
    assert {line["is_anomaly"] for line in scores} <= {"0", "1"}
    for line in scores:
        is_anomaly = line["is_anomaly"] == "1"
        assert is_anomaly or float(line["anomaly_score"]) <= 1.0
        assert (line["severity"] != "none") == is_anomaly
        assert (line["episode"] != "") == is_anomaly
    for sensor in ("s0", "s1"):
        statuses = [line["status"] for line in scores if line["sensor_id"] == sensor]
        assert statuses == sorted(statuses, reverse=True), (
            "each sensor must first have rows in the warm-up and then scored rows"
        )
    assert {"scored"} <= {line["status"] for line in scores} <= {"warming_up", "scored"}


def test_an_episode_is_named_by_its_first_row(tmp_path: Path) -> None:
    """One of two sensors has a level shift, and some rows are rejected during the shift."""
    readings = some_readings(300)
    values = readings.values.copy()
    values[200:220:2, 0] += 12.0
    shifted_file = write_rows(
        tmp_path / "rows.csv", replace(readings, values=values), x1_texts=BAD_X1_TEXTS
    )

    backtest(shifted_file, tmp_path / "scores.csv", train_rows=100)

    line_by_row = {int(line["row"]): line for line in csv_rows(tmp_path / "scores.csv")}
    assert line_by_row[198]["episode"] == ""
    assert [line_by_row[row]["episode"] for row in (200, 202, 204)] == ["200"] * 3
    assert line_by_row[200]["severity"] in {"major", "critical"}
    assert line_by_row[201]["episode"] == ""


def test_rejected_rows_are_written_to_a_second_file(rows_file: Path, tmp_path: Path) -> None:
    backtest(rows_file, tmp_path / "scores.csv", train_rows=100)

    rejected_lines = csv_rows(rejected_path(tmp_path / "scores.csv"))

    assert [(int(line["row"]), line["reason"], line["field"]) for line in rejected_lines] == [
        (3, "wrong_type", "x1"),
        (130, "null_value", "x1"),
        (131, "not_finite", "x1"),
        (250, "out_of_range", "x1"),
    ]


def test_scores_and_rejections_do_not_depend_on_the_batch_size(
    rows_file: Path, tmp_path: Path
) -> None:
    backtest(rows_file, tmp_path / "one.csv", train_rows=100, max_rows=10_000)
    backtest(rows_file, tmp_path / "many.csv", train_rows=100, max_rows=7)

    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "many.csv").read_bytes()
    assert rejected_path(tmp_path / "one.csv").read_bytes() == (
        rejected_path(tmp_path / "many.csv").read_bytes()
    )


@settings(max_examples=20, deadline=None)
@given(max_rows=st.integers(1, 400), seed=st.integers(0, 1_000))
def test_a_backtest_gives_the_same_scores_as_the_consumer_bit_for_bit(
    max_rows: int, seed: int
) -> None:
    readings = some_readings(200, seed=seed)
    payloads = [payload_of(readings, row) for row in range(len(readings))]
    expected_outcome = process(payloads, a_detector(), a_detector().empty_memory())

    records = (msgspec.json.decode(payload) for payload in payloads)
    outcomes = list(
        score_records(
            records, a_detector(), a_detector().empty_memory(), first_row=0, max_rows=max_rows
        )
    )

    raw_scores = np.concatenate([outcome.detections.raw_score for outcome in outcomes])
    anomaly_scores = np.concatenate([outcome.detections.anomaly_score for outcome in outcomes])
    assert raw_scores.tobytes() == expected_outcome.detections.raw_score.tobytes()
    assert anomaly_scores.tobytes() == expected_outcome.detections.anomaly_score.tobytes()


def payload_of(readings: Readings, row: int) -> bytes:
    x1, x2, x3 = readings.values[row].tolist()
    time = format_instant(int(readings.event_time[row]))
    sensor = readings.sensor_ids[readings.sensor[row]]
    return msgspec.json.encode(
        {"timestamp": time, "sensor_id": sensor, "x1": x1, "x2": x2, "x3": x3}
    )


def test_later_rows_cannot_change_earlier_scores(tmp_path: Path) -> None:
    readings = some_readings(300)
    write_rows(tmp_path / "all.csv", readings)
    write_rows(tmp_path / "first.csv", readings.take(slice(0, 200)))

    backtest(tmp_path / "all.csv", tmp_path / "all_scores.csv", train_rows=100)
    backtest(tmp_path / "first.csv", tmp_path / "first_scores.csv", train_rows=100)

    all_scores = (tmp_path / "all_scores.csv").read_text(encoding="utf-8")
    assert all_scores.startswith((tmp_path / "first_scores.csv").read_text(encoding="utf-8"))


def test_scores_read_from_the_file_equal_the_computed_scores(tmp_path: Path) -> None:
    readings = some_readings(50)
    records = iter(read_rows(write_rows(tmp_path / "rows.csv", readings), a_schema()))
    outcomes = list(
        score_records(records, a_detector(), a_detector().empty_memory(), first_row=0, max_rows=50)
    )
    with ScoreTable(tmp_path / "scores.csv", a_detector()) as scores:
        scores.write(outcomes[0])

    raw_scores = [float(line["raw_score"]) for line in csv_rows(tmp_path / "scores.csv")]

    assert raw_scores == outcomes[0].detections.raw_score.tolist()


def test_any_sensor_id_reads_back_unchanged(tmp_path: Path) -> None:
    written_ids = ("a,b", 'say "x"', " blank ", "ä", "plain")
    readings = replace(some_readings(50, sensors=5), sensor_ids=written_ids)
    outcome = score_readings(readings, [], a_detector(), a_detector().empty_memory())
    empty_outcome = score_readings(
        readings.take(slice(0)), [], a_detector(), a_detector().empty_memory()
    )

    with ScoreTable(tmp_path / "scores.csv", a_detector()) as scores:
        scores.write(empty_outcome)
        scores.write(outcome)

    read_ids = [line["sensor_id"] for line in csv_rows(tmp_path / "scores.csv")]
    assert read_ids == [written_ids[number] for number in readings.sensor]


def test_a_backtest_that_fails_writes_no_files(tmp_path: Path) -> None:
    def fail_while_writing() -> None:
        with ScoreTable(tmp_path / "scores.csv", a_detector()):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_while_writing()

    assert list(tmp_path.iterdir()) == []
