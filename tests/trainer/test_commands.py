"""The commands `train`, `evaluate` and `backtest`: their output, files and exit codes."""

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


def run_command(*args: str) -> int:
    app = typer_app()
    for command_function in (train, evaluate, backtest):
        app.command()(command_function)
    return run(app, args, name="trainer")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the default schema and a file of healthy rows."""
    monkeypatch.chdir(tmp_path)
    # 20 trees are enough for these tests, and their training is fast.
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "20")
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "default.toml").write_bytes(DEFAULT_SCHEMA.read_bytes())
    write_rows(tmp_path / "rows.csv", simulated_readings(), x1_texts={10: "x", 11: ""})
    return tmp_path


def test_training_registers_the_champion_and_evaluating_it_passes_the_gate(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("train", "--data", "rows.csv") == 0
    train_output = capsys.readouterr().out
    assert run_command("evaluate", "--data", "rows.csv", "--gate") == 0
    evaluate_output = capsys.readouterr().out

    champion = Registry(folder / "registry").current_aliases("default").champion
    assert champion is not None
    assert f"version    {champion}" in train_output
    assert "champion   this version" in train_output
    assert "rows       4000 read, 3998 accepted" in train_output
    assert "rejected   2 (1 wrong_type, 1 null_value)" in train_output
    assert "sensors    10" in train_output
    assert "season     none" in train_output
    assert "all 18 passed" in evaluate_output
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    assert report == Registry(folder / "registry").report("default", champion)


@pytest.mark.slow
def test_a_second_version_is_promoted_only_with_the_option_promote(folder: Path) -> None:
    registry = Registry(folder / "registry")
    assert run_command("train", "--data", "rows.csv") == 0
    first_version = registry.current_aliases("default").champion

    assert run_command("train", "--data", "rows.csv", "--seed", "1") == 0
    assert registry.current_aliases("default").champion == first_version

    assert run_command("train", "--data", "rows.csv", "--seed", "2", "--promote") == 0
    assert registry.current_aliases("default").champion == registry.version_ids("default")[-1]


@pytest.mark.slow
def test_a_version_that_fails_its_checks_is_not_promoted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A tenth of the training rows are outliers, so injected faults of equal size look normal."""
    readings = simulated_readings()
    values = readings.values.copy()
    values[::10] *= 10.0
    readings_with_outliers = replace(readings, values=values)
    write_rows(folder / "outliers.csv", readings_with_outliers)
    assert run_command("train", "--data", "rows.csv") == 0
    first_version = Registry(folder / "registry").current_aliases("default").champion

    exit_code = run_command("train", "--data", "outliers.csv", "--promote")

    error_output = capsys.readouterr().err
    assert exit_code == 1
    assert "was not promoted: failed " in error_output
    assert "failures.roc_auc" in error_output
    assert Registry(folder / "registry").current_aliases("default").champion == first_version


@pytest.mark.slow
def test_the_gate_exits_with_1_and_names_the_failed_checks(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("train", "--data", "rows.csv") == 0
    readings = simulated_readings()
    shifted_readings = replace(readings, values=readings.values + 30.0)
    write_rows(folder / "shifted.csv", shifted_readings)

    assert run_command("evaluate", "--data", "shifted.csv") == 0
    assert run_command("evaluate", "--data", "shifted.csv", "--gate", "--out", "shifted.json") == 1

    assert "failed the gate: stability.whole, stability.folds" in capsys.readouterr().err
    assert json.loads((folder / "shifted.json").read_text(encoding="utf-8"))["passed"] is False


def test_a_backtest_writes_scores_and_rejections(folder: Path) -> None:
    exit_code = run_command(
        "backtest", "--data", "rows.csv", "--schema", "schemas/default.toml", "--train-rows", "400",
        "--out", "out/scores.csv",
    )  # fmt: skip

    scores = pd.read_csv(folder / "out" / "scores.csv")
    rejected_rows = pd.read_csv(folder / "out" / "scores.rejected.csv")
    assert exit_code == 0
    assert scores["row"].tolist() == list(range(400, 4_000))
    assert rejected_rows["row"].tolist() == [10, 11]


def test_a_backtest_with_a_version_imports_no_package_that_only_training_needs(
    folder: Path,
) -> None:
    """Importing scikit-learn takes as long as scoring a million rows."""
    assert run_command("train", "--data", "rows.csv") == 0
    script = (
        "import sys\nfrom sensorwatch.__main__ import main\ncode = main()\n"
        "heavy = {'sklearn', 'pandas', 'joblib', 'pyarrow', 'confluent_kafka'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nsys.exit(code)"
    )
    options = ["backtest", "--data", "rows.csv", "--model", "champion"]

    completed_process = subprocess.run(
        [sys.executable, "-c", script, *options],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (completed_process.returncode, completed_process.stderr) == (0, "")


def test_a_backtest_with_a_version_scores_every_row_with_it(folder: Path) -> None:
    assert run_command("train", "--data", "rows.csv") == 0

    assert run_command("backtest", "--data", "rows.csv", "--model", "champion") == 0

    scores = pd.read_csv(folder / "scores.csv")
    assert len(scores) == 3_998
    assert 0 < scores["is_anomaly"].mean() < 0.02


@pytest.mark.parametrize(
    ("args", "message"),
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
def test_a_usage_error_is_one_line_and_exits_with_2(
    args: list[str], message: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(*args) == 2

    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    (error,) = [line for line in captured.err.splitlines() if "info" not in line]
    assert error.startswith("error: ")
    assert not (folder / "scores.csv").exists()


def test_evaluating_without_a_model_says_how_to_train_one(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run_command("evaluate", "--data", "rows.csv") == 6

    assert "sensorwatch train" in capsys.readouterr().err


def test_a_backtest_refuses_a_schema_that_differs_from_the_versions_schema(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command("train", "--data", "rows.csv") == 0
    changed_schema = DEFAULT_SCHEMA.read_text(encoding="utf-8").replace("-1000.0", "-999.0")
    (folder / "changed.toml").write_text(changed_schema, encoding="utf-8")

    exit_code = run_command(
        "backtest", "--data", "rows.csv", "--schema", "changed.toml", "--model", "champion"
    )

    assert exit_code == 2
    assert "fingerprint" in capsys.readouterr().err


def test_too_few_calibration_rows_for_the_target_rate_are_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder / "few.csv", some_readings(100))

    assert run_command("train", "--data", "few.csv") == 0

    output = capsys.readouterr()
    assert "scores rarer than 40.0% of rows are extrapolated" in output.err
    assert "fit        100 rows" in output.out
    assert "calibrated on 100 rows, by cross-validation over 10 blocks of time" in output.out


def test_the_plain_detector_is_calibrated_on_the_newest_rows(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder / "few.csv", some_readings(100))

    assert run_command("train", "--data", "few.csv", "--features", "plain") == 0

    output = capsys.readouterr()
    assert "30 calibration rows are too few" in output.err
    assert "fit        70 rows" in output.out
    assert "calibrated on the newest 30 rows, from" in output.out
    assert Registry(folder / "registry").load("default").detector.forecast is None


def test_a_backtest_can_use_the_plain_detector(folder: Path) -> None:
    for features in ("plain", "forecast"):
        output_file = f"{features}.csv"
        args = ["--data", "rows.csv", "--train-rows", "400", "--out", output_file]
        assert run_command("backtest", *args, "--features", features) == 0

    plain_scores, forecast_scores = (
        pd.read_csv(folder / f"{name}.csv") for name in ("plain", "forecast")
    )
    assert plain_scores["row"].tolist() == forecast_scores["row"].tolist()
    assert (plain_scores["raw_score"] < 1).all(), "a forest's scores are below 1"
    assert (forecast_scores["raw_score"] > 1).any(), "rarities in nats are not bounded by 1"


def test_a_version_whose_schema_differs_from_the_champions_schema_gives_a_warning(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed_schema = DEFAULT_SCHEMA.read_text(encoding="utf-8").replace("-1000.0", "-999.0")
    (folder / "changed.toml").write_text(changed_schema, encoding="utf-8")
    assert run_command("train", "--data", "rows.csv", "--name", "pump") == 0
    assert run_command("train", "--data", "rows.csv", "--model", "pump", "--seed", "1") == 0
    assert "another schema" not in capsys.readouterr().err

    assert (
        run_command("train", "--data", "rows.csv", "--name", "pump", "--schema", "changed.toml")
        == 0
    )

    newest_version = Registry(folder / "registry").version_ids("pump")[-1]
    warning = capsys.readouterr().err
    assert "has another schema" in warning
    assert f"sensorwatch models promote {newest_version} --name pump" in warning
