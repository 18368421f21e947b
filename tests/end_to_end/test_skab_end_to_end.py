"""Tests of all commands on real readings of a water loop (SKAB) and a real broker."""

import csv
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.brokers.kafka import Kafka
from tests.commands.command_runner import CommandResult
from tests.end_to_end.command_session import CommandSession
from tests.skab_files import ANOMALY_FREE_FILE, SIGNALS, VALVE_FILE, needs_skab

pytestmark = [
    pytest.mark.broker,
    pytest.mark.slow,
    needs_skab,
]


def count_rows(path: Path) -> int:
    """Count the rows of a CSV file."""
    return len(path.read_text().splitlines()) - 1


@dataclass(frozen=True, slots=True)
class StreamedFiles:
    """The results after the valve file and then the anomaly-free file were streamed."""

    session: CommandSession
    schema: dict[str, Any]
    produce_results: tuple[CommandResult, CommandResult]
    exit_code: int
    events: dict[int, dict[str, Any]]
    """The events, by the offset of their reading; one partition has all readings in file order."""


@pytest.fixture(scope="module")
def streamed_files(
    kafka: Kafka, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[StreamedFiles]:
    folder = tmp_path_factory.mktemp("skab")
    session = CommandSession(kafka, folder, schema=Path("skab.toml"))
    try:
        session.run_command(f"schema infer {ANOMALY_FREE_FILE} --out skab.toml")
        session.run_command(f"train --data {ANOMALY_FREE_FILE}")
        session.run_command("topics create")
        produce_results = (
            session.run_command(f"produce --csv {VALVE_FILE}"),
            session.run_command(f"produce --csv {ANOMALY_FREE_FILE}"),
        )
        session.start_service("consume")
        session.wait_until_consumed(count_rows(VALVE_FILE) + count_rows(ANOMALY_FREE_FILE))
        code = session.stop_service("consume")
        events = {event["source"]["offset"]: event for event in session.events()}
        schema = tomllib.loads((folder / "skab.toml").read_text())
        yield StreamedFiles(session, schema, produce_results, code, events)
    finally:
        session.close()


def test_the_inferred_schema_is_correct(streamed_files: StreamedFiles) -> None:
    schema = streamed_files.schema
    assert [signal["name"] for signal in schema["signals"]] == SIGNALS
    assert schema["csv"]["delimiter"] == ";"
    assert schema["time"]["field"] == "datetime"
    assert "key" not in schema, "one water loop is one sensor"


def test_label_columns_are_neither_inferred_nor_sent(streamed_files: StreamedFiles) -> None:
    inferred_schema = tomllib.loads(
        streamed_files.session.run_command(f"schema infer {VALVE_FILE}").out
    )
    assert [signal["name"] for signal in inferred_schema["signals"]] == SIGNALS
    readings = [
        json.loads(message.value() or b"")
        for message in streamed_files.session.committed_records(streamed_files.session.readings)
    ]
    assert len(readings) == count_rows(VALVE_FILE) + count_rows(ANOMALY_FREE_FILE)
    field_names = {frozenset(row) for row in readings}
    assert all("anomaly" not in row and "changepoint" not in row for row in field_names), (
        field_names
    )


def test_every_row_is_delivered_and_the_consumer_exits_with_0(
    streamed_files: StreamedFiles,
) -> None:
    for result, path in zip(
        streamed_files.produce_results, (VALVE_FILE, ANOMALY_FREE_FILE), strict=True
    ):
        assert f"delivered {count_rows(path)}, failed 0" in result.err
    assert streamed_files.exit_code == 0


def test_the_ledger_counts_every_row_and_proves_every_score(streamed_files: StreamedFiles) -> None:
    total_rows = count_rows(VALVE_FILE) + count_rows(ANOMALY_FREE_FILE)
    output = streamed_files.session.run_command("ledger show").out
    anomaly_count = len(streamed_files.events)
    assert 0 < anomaly_count < total_rows, "the files must have normal rows and anomalous rows"
    expected_equation = (
        f"records in {total_rows} = normal {total_rows - anomaly_count} + anomalies {anomaly_count}"
    )
    assert f"{expected_equation} + dead letters 0" in output
    findings = streamed_files.session.run_json_command("ledger verify --json")
    assert {finding["verdict"] for finding in findings} == {"proven"}
    assert sum(finding["records"] for finding in findings) == total_rows
    assert f"{total_rows} records proven" in streamed_files.session.run_command("ledger verify").out


def test_a_backtest_of_both_files_has_the_scores_of_the_events_bit_for_bit(
    streamed_files: StreamedFiles,
) -> None:
    """The backtest reads both files, as the memory after the first affects the second's scores."""
    combined_file = streamed_files.session.folder / "both.csv"
    with combined_file.open("w", newline="") as output_file:
        writer = csv.DictWriter(
            output_file, ["datetime", *SIGNALS], delimiter=";", extrasaction="ignore"
        )
        writer.writeheader()
        for path in (VALVE_FILE, ANOMALY_FREE_FILE):
            with path.open(newline="") as input_file:
                writer.writerows(csv.DictReader(input_file, delimiter=";"))
    command = "backtest --data both.csv --schema skab.toml --model champion --out scores.csv"
    streamed_files.session.run_command(command)
    with (streamed_files.session.folder / "scores.csv").open() as input_file:
        backtest_rows = list(csv.DictReader(input_file))
    assert [int(row["row"]) for row in backtest_rows] == list(range(count_rows(combined_file)))
    expected_scores = {
        int(row["row"]): (float(row["anomaly_score"]), float(row["raw_score"]))
        for row in backtest_rows
        if row["is_anomaly"] == "1"
    }
    published_scores = {
        offset: (event["anomaly_score"], event["raw_score"])
        for offset, event in streamed_files.events.items()
    }
    assert expected_scores
    assert published_scores == expected_scores


def test_tail_prints_the_unusual_signal(streamed_files: StreamedFiles) -> None:
    line = streamed_files.session.run_command("tail --from-beginning --max 1").out
    assert "2020-03-09T10:14:33Z" in line
    # At this time, the water is colder than in all training data.
    assert re.search(r"Temperature 79\.337 is [\d.]+.* \([\d.]+ sigma\) below expected", line), line
