import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.command_line import run, typer_app
from sensorwatch.trainer.backtest_command import backtest
from sensorwatch.trainer.evaluate_command import evaluate
from sensorwatch.trainer.train_command import train
from tests.commands.command_runner import ROOT
from tests.reading_builders import DEFAULT_SCHEMA, some_readings
from tests.trainer.training_builders import simulated_readings, write_rows


def command(*args: str) -> int:
    app = typer_app()
    for function in (train, evaluate, backtest):
        app.command()(function)
    return run(app, args, name="trainer")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the shipped schema and a file of healthy rows, as after a clone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "20")  # as sure here, and quicker
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "default.toml").write_bytes(DEFAULT_SCHEMA.read_bytes())
    write_rows(tmp_path / "rows.csv", simulated_readings(), bad={10: "x", 11: ""})
    return tmp_path


def test_training_registers_the_champion_and_evaluating_it_passes_the_gate(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "--data", "rows.csv") == 0
    trained = capsys.readouterr().out
    assert command("evaluate", "--data", "rows.csv", "--gate") == 0
    shown = capsys.readouterr().out

    champion = Registry(folder / "registry").current_aliases("default").champion
    assert champion is not None
    assert f"version    {champion}" in trained
    assert "champion   this version" in trained
    assert "rows       4000 read, 3998 accepted" in trained
    assert "rejected   2 (1 wrong_type, 1 null_value)" in trained
    assert "all 15 passed" in shown
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report == Registry(folder / "registry").report("default", champion)


def test_a_second_version_is_promoted_only_if_it_is_asked_for_and_passes(folder: Path) -> None:
    registry = Registry(folder / "registry")
    assert command("train", "--data", "rows.csv") == 0
    first = registry.current_aliases("default").champion

    assert command("train", "--data", "rows.csv", "--seed", "1") == 0
    assert registry.current_aliases("default").champion == first

    assert command("train", "--data", "rows.csv", "--seed", "2", "--promote") == 0
    assert registry.current_aliases("default").champion == registry.version_ids("default")[-1]


def test_a_version_that_fails_its_checks_is_not_promoted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth of the rows jumps about, so a fault of that size is nothing strange."""
    readings = simulated_readings()
    values = readings.values.copy()
    values[::10] *= 10.0
    wild = replace(readings, values=values)
    write_rows(folder / "wild.csv", wild)
    assert command("train", "--data", "rows.csv") == 0
    first = Registry(folder / "registry").current_aliases("default").champion

    code = command("train", "--data", "wild.csv", "--promote")

    said = capsys.readouterr().err
    assert code == 1
    assert "was not promoted: failed " in said
    assert "failures.spike_of_one_signal" in said
    assert Registry(folder / "registry").current_aliases("default").champion == first


def test_the_gate_exits_with_1_and_names_the_failed_checks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "--data", "rows.csv") == 0
    readings = simulated_readings()
    moved = replace(readings, values=readings.values + 30.0)
    write_rows(folder / "moved.csv", moved)

    assert command("evaluate", "--data", "moved.csv") == 0
    assert command("evaluate", "--data", "moved.csv", "--gate", "--out", "moved.json") == 1

    assert "failed the gate: stability.whole, stability.folds" in capsys.readouterr().err
    assert json.loads((folder / "moved.json").read_text(encoding="utf-8"))["passed"] is False


def test_a_backtest_writes_scores_and_rejections(folder: Path) -> None:
    code = command(
        "backtest", "--data", "rows.csv", "--schema", "schemas/default.toml", "--train-rows", "400",
        "--out", "out/scores.csv",
    )  # fmt: skip

    scores = pd.read_csv(folder / "out" / "scores.csv")
    rejected = pd.read_csv(folder / "out" / "scores.rejected.csv")
    assert code == 0
    assert scores["row"].tolist() == list(range(400, 4_000))
    assert rejected["row"].tolist() == [10, 11]


def test_a_backtest_with_a_version_imports_nothing_that_only_training_needs(folder: Path) -> None:
    """scikit-learn alone takes as long as scoring a million rows."""
    assert command("train", "--data", "rows.csv") == 0
    code = (
        "import sys\nfrom sensorwatch.__main__ import main\ncode = main()\n"
        "heavy = {'sklearn', 'pandas', 'joblib', 'pyarrow', 'confluent_kafka'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nsys.exit(code)"
    )
    options = ["backtest", "--data", "rows.csv", "--model", "champion"]

    ended = subprocess.run(
        [sys.executable, "-c", code, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.returncode, ended.stderr) == (0, "")


def test_a_backtest_with_a_version_scores_every_row_with_it(folder: Path) -> None:
    assert command("train", "--data", "rows.csv") == 0

    assert command("backtest", "--data", "rows.csv", "--model", "champion") == 0

    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == 3_998
    assert 0 < scores["is_anomaly"].mean() < 0.02


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["backtest", "--data", "rows.csv"], "give either --train-rows N"),
        (["backtest", "--data", "no.csv", "--train-rows", "99"], "no.csv"),
        (["backtest", "--data", "rows.csv", "--train-rows", "15"], "at least 34 are needed"),
        (["train", "--data", "no.csv"], "no file no.csv"),
        (["train", "--data", "rows.csv", "--target-alert-rate", "2"], "target_alert_rate"),
        (["train", "--data", "rows.csv", "--model", "Pump"], "registry.model"),
        (["train", "--data", "kafka:"], "names no topic"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line_and_exits_with_2(
    args: list[str], said: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*args) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err
    (error,) = [line for line in captured.err.splitlines() if "info" not in line]
    assert error.startswith("error: ")
    assert not (folder / "scores.csv").exists()


def test_evaluating_without_a_model_says_how_to_get_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command("evaluate", "--data", "rows.csv") == 6

    assert "sensorwatch train" in capsys.readouterr().err


def test_a_backtest_refuses_a_schema_that_is_not_the_versions(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("train", "--data", "rows.csv") == 0
    other = DEFAULT_SCHEMA.read_text(encoding="utf-8").replace("-1000.0", "-999.0")
    (folder / "other.toml").write_text(other, encoding="utf-8")

    code = command(
        "backtest", "--data", "rows.csv", "--schema", "other.toml", "--model", "champion"
    )

    assert code == 2
    assert "fingerprint" in capsys.readouterr().err


def test_too_few_calibration_rows_for_the_target_rate_are_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder / "few.csv", some_readings(100))

    assert command("train", "--data", "few.csv") == 0

    said = capsys.readouterr()
    assert "rarer than 40.0% of rows is extrapolated" in said.err
    assert "split      100 rows to fit, calibrated out of fold in 10 blocks" in said.out


def test_the_plain_recipe_is_calibrated_on_the_newer_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder / "few.csv", some_readings(100))

    assert command("train", "--data", "few.csv", "--features", "plain") == 0

    said = capsys.readouterr()
    assert "30 calibration rows cannot resolve" in said.err
    assert "split      70 rows to fit, 30 to calibrate from" in said.out
    assert Registry(folder / "registry").load("default").detector.forecast is None


def test_a_backtest_can_be_made_with_the_plain_recipe(folder: Path) -> None:
    for features in ("plain", "forecast"):
        out = f"{features}.csv"
        args = ["--data", "rows.csv", "--train-rows", "400", "--out", out, "--features", features]
        assert command("backtest", *args) == 0

    plain, forecast = (pd.read_csv(folder / f"{name}.csv") for name in ("plain", "forecast"))
    assert plain["row"].tolist() == forecast["row"].tolist()
    assert (plain["raw_score"] < 1).all(), "the scores of a forest"
    assert (forecast["raw_score"] > 1).any(), "nats"


def test_a_version_of_another_schema_than_the_champions_is_a_warning_with_the_remedy(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = DEFAULT_SCHEMA.read_text(encoding="utf-8").replace("-1000.0", "-999.0")
    (folder / "other.toml").write_text(other, encoding="utf-8")
    assert command("train", "--data", "rows.csv", "--name", "pump") == 0
    assert command("train", "--data", "rows.csv", "--model", "pump", "--seed", "1") == 0
    assert "another schema" not in capsys.readouterr().err

    assert command("train", "--data", "rows.csv", "--name", "pump", "--schema", "other.toml") == 0

    newest = Registry(folder / "registry").version_ids("pump")[-1]
    said = capsys.readouterr().err
    assert "has another schema" in said
    assert f"sensorwatch models promote {newest} --name pump" in said
