"""The whole way of the trainer on real readings: a water loop with 8 sensors (SKAB)."""

from pathlib import Path

import pandas as pd
import pytest

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.command_line import run
from sensorwatch.trainer.backtest_command import backtest
from sensorwatch.trainer.evaluate_command import evaluate
from sensorwatch.trainer.train_command import train
from tests.skab_files import ANOMALY_FREE, SIGNALS, VALVE, needs_skab

pytestmark = needs_skab


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the schema of SKAB's files."""
    monkeypatch.chdir(tmp_path)
    lines = ['name = "skab"', "[time]", 'field = "datetime"', 'format = "%Y-%m-%d %H:%M:%S"']
    lines += ['naive_zone = "UTC"', "[csv]", 'delimiter = ";"']
    lines += [f'[[signals]]\nname = "{name}"' for name in SIGNALS]
    (tmp_path / "skab.toml").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_model_of_the_anomaly_free_run_is_correct_and_finds_what_is_injected(
    folder: Path,
) -> None:
    data = str(ANOMALY_FREE)

    assert run(train, ["--data", data, "--schema", "skab.toml", "--model", "skab"]) == 0
    assert run(evaluate, ["--data", data, "--name", "skab"]) == 0

    champion = Registry(folder / "registry").current_aliases("skab").champion
    assert champion is not None
    report = Registry(folder / "registry").report("skab", champion)
    assert report is not None
    assert report["data"]["rows"] == 9_405
    # The run is no steady state: its temperature falls throughout and its flow changes over. So its
    # last third is unlike the two before (5 % of it is alarmed) and teaches the sensor a wide tail
    # of its own: a spike of 8 spreads in pressure (read in steps of one spread), current or voltage
    # is then missed in two cases of five.
    unsteady = {"stability.folds", "stability.seeds", "failures.spike_of_one_signal"}
    assert set(report["failed"]) <= unsteady
    rates = report["stability"]["seeds"]
    assert all(rate["rate"] < 0.1 for rate in rates)


def test_a_backtest_scores_every_row_after_the_first_400(folder: Path) -> None:
    files = sorted(VALVE.parent.glob("*.csv"))
    args = ["--schema", "skab.toml", "--train-rows", "400", "--out", "scores.csv"]

    assert run(backtest, ["--data", str(files[0]), *args]) == 0

    rows = len(pd.read_csv(files[0], sep=";"))
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["row"].tolist() == list(range(400, rows))
    assert scores["anomaly_score"].between(0, 100).all()
