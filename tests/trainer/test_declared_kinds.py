"""Acceptance: `train` and `backtest` on a meter with a reset and on a wind direction.

An environment variable names the folder of the files.
"""

import csv
import os
from pathlib import Path

import pytest

from sensorwatch.common.runtime.command_line import run, typer_app
from sensorwatch.trainer.backtest_command import backtest
from sensorwatch.trainer.train_command import train

CASES = os.environ.get("SENSORWATCH_TEST_CASES")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not CASES, reason="SENSORWATCH_TEST_CASES does not name the folder of the example files"
    ),
]
RESET_ROW = 500
USUAL_STEP = 0.24
"""The mean rise of the meter from row to row, in its unit."""
FAULTY_ROWS = range(800, 820)
TRAIN_ROWS = 4000

METER = """
[[signals]]
name = "energy_total"
kind = "counter"
[[signals]]
name = "voltage"
"""
WIND = """
[[signals]]
name = "dir"
wrap = 360
[[signals]]
name = "speed"
"""

Rows = list[dict[str, str]]


def case_rows(name: str) -> Rows:
    with (Path(CASES or "") / name).open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def write_rows(path: Path, rows: Rows) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def train_version(folder: Path, schema: str, rows: Rows) -> None:
    """Train a version; this fails if the version does not pass a check of its evaluation."""
    (folder / "schema.toml").write_text(schema, encoding="utf-8")
    write_rows(folder / "d.csv", rows)
    run_command(f"train --data {folder}/d.csv --schema {folder}/schema.toml --promote", folder)


def alarms(folder: Path, rows: Rows) -> list[bool]:
    """Score rows with the trained version; return whether each row is in an alarm."""
    write_rows(folder / "then.csv", rows)
    scores = folder / "scores.csv"
    run_command(f"backtest --data {folder}/then.csv --model champion --out {scores}", folder)
    with scores.open(encoding="utf-8") as file:
        return [row["is_anomaly"] == "1" for row in csv.DictReader(file)]


def run_command(command: str, folder: Path) -> None:
    app = typer_app()
    for command_function in (train, backtest):
        app.command()(command_function)
    arguments = [*command.split(), "--registry", f"{folder}/registry", "--name", "m"]
    assert run(app, arguments, name="trainer") == 0


def without_reset(rows: Rows) -> Rows:
    """Return the rows of a meter that continues to rise at the row of the reset."""
    total = float(rows[RESET_ROW - 1]["energy_total"]) + USUAL_STEP
    return [
        *rows[:RESET_ROW],
        *(
            {**row, "energy_total": f"{total + float(row['energy_total']):.2f}"}
            for row in rows[RESET_ROW:]
        ),
    ]


def test_a_reset_of_a_counter_raises_no_alarm_and_a_wrong_rate_does(tmp_path: Path) -> None:
    """The voltage raises an alarm near the reset, with and without the reset."""
    rows = case_rows("53-counter-reset/then.csv")
    for row in FAULTY_ROWS:  # the meter stops, which is a rate of 0
        rows[row]["energy_total"] = rows[FAULTY_ROWS.start - 1]["energy_total"]

    train_version(tmp_path, METER, case_rows("53-counter-reset/d.csv"))
    is_alarm = alarms(tmp_path, rows)

    assert float(rows[RESET_ROW]["energy_total"]) < float(rows[RESET_ROW - 1]["energy_total"])
    assert not is_alarm[RESET_ROW]
    is_alarm_without_reset = alarms(tmp_path, without_reset(rows))
    after_reset = slice(RESET_ROW, RESET_ROW + 10)
    assert is_alarm[after_reset] == is_alarm_without_reset[after_reset]
    assert all(is_alarm[row] for row in FAULTY_ROWS)
    assert sum(is_alarm[: FAULTY_ROWS.start]) <= 0.02 * FAULTY_ROWS.start


def test_the_step_from_360_to_0_raises_no_alarm_but_a_wrong_direction_does(tmp_path: Path) -> None:
    rows = case_rows("60-wind-direction/d.csv")
    trained, scored = rows[:TRAIN_ROWS], rows[TRAIN_ROWS:]
    for row in FAULTY_ROWS:  # the vane is turned by 90 degrees
        scored[row]["dir"] = str((float(scored[row]["dir"]) + 90) % 360)

    train_version(tmp_path, WIND, trained)
    is_alarm = alarms(tmp_path, scored)

    directions = [float(row["dir"]) for row in scored]
    rows_after_wrap = [
        row
        for row in range(1, len(scored))
        if abs(directions[row] - directions[row - 1]) > 180
        and row not in range(FAULTY_ROWS.start, FAULTY_ROWS.stop + 20)
    ]
    assert len(rows_after_wrap) > 100
    assert sum(is_alarm[row] for row in rows_after_wrap) <= 1
    assert is_alarm[FAULTY_ROWS.start]
    assert all(is_alarm[row] for row in FAULTY_ROWS)
    assert sum(is_alarm[: FAULTY_ROWS.start]) <= 0.02 * FAULTY_ROWS.start
