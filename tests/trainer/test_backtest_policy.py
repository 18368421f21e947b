"""A backtest under a policy."""

from pathlib import Path

import pandas as pd
import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.trainer.backtest_run import run_backtest
from sensorwatch.trainer.score_table import POLICY_COLUMNS, SCORE_COLUMNS
from tests.policy.policy_builders import a_policy
from tests.reading_builders import a_candidate, some_readings
from tests.trainer.training_builders import write_rows

LIMIT = '[[rule]]\nname = "top x1"\nsignal = "x1"\nhigh_limit = 1.5\nmin_rows = 2\n'
WEEKLY = """
[[window]]
name = "weekly"
action = "annotate"
weekdays = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
zone = "UTC"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a working folder with a champion and a file of rows."""
    monkeypatch.chdir(tmp_path)
    registry = Registry(tmp_path / "registry")
    version = registry.register("default", a_candidate(), who="test", why="test")
    registry.promote("default", version, who="test", why="test", force="test")
    write_rows(tmp_path / "rows.csv", some_readings(300))
    return tmp_path


def apply_policy(folder: Path, policy: AlarmPolicy) -> None:
    PolicyRegistry(folder / "registry", "default").apply(policy, who="test", why="test")


def backtest(policy: str) -> pd.DataFrame:
    """Score the rows of the file with the champion, and return the lines of the table."""
    run_backtest(
        load_settings(None, environ={}).settings,
        Path("rows.csv"),
        schema=None,
        train_rows=None,
        model="champion",
        as_of=2**62,
        policy=policy,
        out=Path("scores.csv"),
    )
    return pd.read_csv("scores.csv", keep_default_na=False)


def test_without_a_policy_the_table_has_no_column_of_a_policy(folder: Path) -> None:
    scores = backtest("current")

    assert tuple(scores.columns) == SCORE_COLUMNS


def test_a_backtest_scores_under_the_policy_in_force_as_a_worker_does(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = backtest("none")
    apply_policy(folder, a_policy(LIMIT))

    scores = backtest("current")

    assert f"policy     {a_policy(LIMIT).id}, " in capsys.readouterr().out
    assert tuple(scores.columns) == (*SCORE_COLUMNS, *POLICY_COLUMNS)
    assert (scores["raw_score"] == plain["raw_score"]).all()
    is_beyond = some_readings(300).values[:, 0] > 1.5
    is_limit = scores["cause"] == "limit"
    assert is_limit.tolist() == is_beyond.tolist()
    assert scores["is_anomaly"][is_beyond].all()
    assert set(scores["limit_rule"][is_beyond]) == {"top x1"}
    assert "top x1" in set(scores["suppressed_by"][is_beyond])
    is_normal = scores["is_anomaly"] == 0
    assert (scores.loc[is_normal, list(POLICY_COLUMNS)] == "").all(axis=None)


def test_none_ignores_the_policy_in_force(folder: Path) -> None:
    apply_policy(folder, a_policy(LIMIT))

    assert tuple(backtest("none").columns) == SCORE_COLUMNS


def test_the_recurring_windows_of_a_file_cover_old_rows(folder: Path) -> None:
    Path("policy.toml").write_text(LIMIT + WEEKLY)

    scores = backtest("policy.toml")

    assert set(scores["window"][scores["is_anomaly"] == 1]) == {"weekly"}


def test_a_missing_policy_file_is_named(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"absent\.toml cannot be read"):
        backtest("absent.toml")
