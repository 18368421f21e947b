"""The command `sensorwatch rules`: its output, its effects and its exit codes."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.instants import format_instant
from tests.commands.command_runner import CommandResult, run_in_process
from tests.reading_builders import (
    ANOMALOUS_VALUES,
    MINUTE_MICROSECONDS,
    START_TIME,
    a_candidate,
)

RULES = """
[[rule]]
name = "huge"
min_deviation = 1000
[[window]]
name = "nightly"
action = "annotate"
weekdays = ["mon"]
zone = "UTC"
"""


@pytest.fixture(autouse=True)
def _without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with a registry, settings and a policy file."""
    Registry(tmp_path / "registry").register("default", a_candidate(), who="w", why="w")
    (tmp_path / "sensorwatch.toml").write_text('[registry]\npath = "registry"\nmodel = "default"\n')
    (tmp_path / "policy.toml").write_text(RULES)
    return tmp_path


def rules(folder: Path, *args: str) -> CommandResult:
    return run_in_process("rules", *args, folder=folder)


def test_check_prints_plain_words_and_changes_nothing(folder: Path) -> None:
    result = rules(folder, "check", "policy.toml")

    assert result.code == 0, result.err
    assert "rule huge: every signal of every sensor" in result.out
    assert "an alarm only if the deviation is at least 1000" in result.out
    assert "Nothing was changed" in result.err
    assert "has no policy" in rules(folder, "show").err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[rule]]\nname = "r"\nsignal = "x9"\nmin_rows = 2', "has x1, x2, x3: correct the name"),
        ('[[rule]]\nname = "r"', "policy.toml: rule.0: the rule has no effect"),
    ],
)
def test_a_wrong_file_is_neither_valid_nor_applied(folder: Path, text: str, message: str) -> None:
    (folder / "policy.toml").write_text(text)

    for arguments in (["check", "policy.toml"], ["apply", "policy.toml", "--why", "w"]):
        result = rules(folder, *arguments)
        assert (result.code, message in result.err) == (2, True), result.err
    assert PolicyRegistry(folder / "registry", "default").current_id() is None


def test_apply_puts_the_policy_in_force_and_show_prints_it(folder: Path) -> None:
    applied = rules(folder, "apply", "policy.toml", "--who", "anna", "--why", "less noise")
    shown, as_json = rules(folder, "show"), rules(folder, "show", "--json")

    assert applied.code == 0, applied.err
    policy_id = json.loads(as_json.out)["id"]
    assert applied.out.startswith(f"{policy_id} is policy@current of default (before: none)")
    assert shown.out.splitlines()[0] == policy_id
    assert "calendar: ends at" in shown.out
    entry = Registry(folder / "registry").audit("default")[-1]
    assert (entry.who, entry.why) == ("anna", "less noise")


def test_try_counts_the_episodes_before_and_after(folder: Path) -> None:
    values = np.random.default_rng(1).normal(size=(60, 3)) * 0.1
    values[20:25] = values[40] = ANOMALOUS_VALUES
    lines = ["timestamp,sensor_id,x1,x2,x3"]
    for row, (x1, x2, x3) in enumerate(values.tolist()):
        time = format_instant(START_TIME + MINUTE_MICROSECONDS * row)
        lines.append(f"{time},pump-7,{x1},{x2},{x3}")
        if row < 12:
            lines.append(f"{time},spare,0,0,0")
    (folder / "rows.csv").write_text("\n".join(lines) + "\n")
    silence = '[[silence]]\nname = "spare"\nsensor = "spare"\nsilence = false\n'
    (folder / "policy.toml").write_text(RULES + silence)

    result = rules(folder, "try", "policy.toml", "--data", "rows.csv", "--json")
    as_text = rules(folder, "try", "policy.toml", "--data", "rows.csv")

    assert result.code == 0, result.err
    outcome = json.loads(result.out)
    alarms_before = sum(n for name, n in outcome["before"]["episodes"].items() if name != "info")
    alarms_after = sum(n for name, n in outcome["after"]["episodes"].items() if name != "info")
    assert (outcome["rows"], alarms_before, alarms_after) == (72, 2, 0)
    assert outcome["after"]["suppressed"] == {"huge": 2, "nightly": 0}
    assert "suppressed by\tbefore\tafter" in as_text.out
    assert outcome["before"]["silences"] == 1
    assert outcome["after"]["silences"] == 0
    assert "silences of sensors: 1 before, 0 after" in as_text.out
