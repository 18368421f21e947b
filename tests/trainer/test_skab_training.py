"""Training, evaluation and backtest on real readings of a water circuit (SKAB)."""

from pathlib import Path

import pandas as pd
import pytest

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.command_line import run
from sensorwatch.trainer.backtest_command import backtest
from sensorwatch.trainer.evaluate_command import evaluate
from sensorwatch.trainer.train_command import train
from tests.skab_files import ANOMALY_FREE_FILE, SIGNALS, VALVE_FILE, needs_skab

pytestmark = needs_skab


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with the schema of SKAB's files."""
    monkeypatch.chdir(tmp_path)
    lines = ['name = "skab"', "[time]", 'field = "datetime"', 'format = "%Y-%m-%d %H:%M:%S"']
    lines += ['naive_zone = "UTC"', "[csv]", 'delimiter = ";"']
    lines += [f'[[signals]]\nname = "{name}"' for name in SIGNALS]
    (tmp_path / "skab.toml").write_text("\n".join(lines), encoding="utf-8")
    return tmp_path


@pytest.mark.slow
def test_a_model_of_the_anomaly_free_run_is_correct_and_detects_most_faults(
    folder: Path,
) -> None:
    data_path = str(ANOMALY_FREE_FILE)

    assert run(train, ["--data", data_path, "--schema", "skab.toml", "--model", "skab"]) == 0
    assert run(evaluate, ["--data", data_path, "--name", "skab"]) == 0

    champion = Registry(folder / "registry").current_aliases("skab").champion
    assert champion is not None
    report = Registry(folder / "registry").report("skab", champion)
    assert report is not None
    assert report["data"]["rows"] == 9_405
    # The run is not stationary: the temperature falls and the flow changes. A model of the first
    # two thirds raises an alarm on 5 % of the rows of the last third, so the tail that is fitted to
    # the scores is wide. The model therefore misses two in five spikes of 8 spreads in pressure,
    # current or voltage.
    may_fail = {"stability.folds", "stability.seeds", "failures.spike_of_one_signal"}
    assert set(report["failed"]) <= may_fail
    rates = report["stability"]["seeds"]
    assert all(rate["rate"] < 0.1 for rate in rates)


def test_a_backtest_scores_every_row_after_the_first_400(folder: Path) -> None:
    files = sorted(VALVE_FILE.parent.glob("*.csv"))
    args = ["--schema", "skab.toml", "--train-rows", "400", "--out", "scores.csv"]

    assert run(backtest, ["--data", str(files[0]), *args]) == 0

    rows = len(pd.read_csv(files[0], sep=";"))
    scores = pd.read_csv(folder / "scores.csv")
    assert scores["row"].tolist() == list(range(400, rows))
    assert scores["anomaly_score"].between(0, 100).all()
