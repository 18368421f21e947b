"""`sensorwatch verdict` stores a verdict, and the next policy suppresses similar excursions."""

import json
from collections.abc import Iterator
from pathlib import Path

import jsonschema
import pytest

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.common.scoring.suppression import SUPPRESSIONS, Suppression
from sensorwatch.common.verdicts.verdict_topic import read_verdicts
from tests.commands.command_runner import ROOT, CommandResult, run_in_process
from tests.episodes.episode_folder import (
    EPISODE_ID,
    FIRST_ANOMALY,
    LAST_ANOMALY,
    episode_folder,
    score,
)

pytestmark = pytest.mark.embedded


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with episode_folder(tmp_path, monkeypatch) as folder:
        yield folder


def verdict(folder: Path, *args: str) -> CommandResult:
    result = run_in_process("verdict", *args, folder=folder)
    assert result.code == 0, result.err
    return result


def current_policy(folder: Path) -> AlarmPolicy | None:
    return PolicyRegistry(folder / "registry", "default").current()


def suppressions(folder: Path) -> set[Suppression]:
    """Return the suppressions of the anomalous rows under the current policy."""
    detector = Registry(folder / "registry").load("default").detector.under(current_policy(folder))
    numbers = score(detector).detections.suppression[FIRST_ANOMALY : LAST_ANOMALY + 1]
    return {SUPPRESSIONS[number] for number in numbers}


def test_a_false_verdict_suppresses_alike_excursions_until_it_is_undone(folder: Path) -> None:
    assert suppressions(folder) == {Suppression.NONE}

    result = verdict(folder, EPISODE_ID, "false", "--note", "a test run", "--who", "anna")

    assert "similar excursions of the sensor pump-7 are suppressed" in result.out
    assert suppressions(folder) == {Suppression.RULE}
    listed = json.loads(verdict(folder, "list", "--json").out)
    assert (listed["verdict"], listed["who"], listed["note"]) == ("false", "anna", "a test run")
    assert listed["learned"].startswith("until ")
    assert EPISODE_ID in verdict(folder, "list").out
    assert EPISODE_ID in run_in_process("rules", "show", folder=folder).out

    schema = json.loads((ROOT / "schemas" / "verdict.v1.json").read_text())
    stored = {key: value for key, value in listed.items() if key != "learned"}
    jsonschema.Draft202012Validator(schema).validate(stored)
    jsonschema.Draft202012Validator(schema).validate(schema["examples"][0])
    assert stored.keys() == schema["properties"].keys()

    verdict(folder, EPISODE_ID, "undo", "--note", "a mistake")

    assert suppressions(folder) == {Suppression.NONE}
    assert "no verdicts" in verdict(folder, "list").err
    entries = Registry(folder / "registry").audit("default")
    assert [(e.action, e.why) for e in entries][-2:] == [
        ("verdict", "a test run"),
        ("verdict", "a mistake"),
    ]
    assert entries[-2].detail["verdict"]["episode_id"] == EPISODE_ID


def test_a_true_verdict_replaces_a_false_one_and_learns_nothing(folder: Path) -> None:
    verdict(folder, EPISODE_ID, "false")
    verdict(folder, EPISODE_ID, "true")

    assert suppressions(folder) == {Suppression.NONE}
    settings = load_settings(None).settings
    records = read_verdicts(settings.kafka, settings.verdicts_topic)
    assert [record.verdict for record in records.values()] == ["true"]
    assert records[EPISODE_ID].begin == "2025-01-01T00:40:00Z"
    assert records[EPISODE_ID].end == "2025-01-01T00:44:00Z"


def test_a_true_verdict_without_a_policy_creates_none(folder: Path) -> None:
    verdict(folder, EPISODE_ID, "true")

    assert current_policy(folder) is None


def test_an_expected_verdict_with_a_window_plans_the_window(folder: Path) -> None:
    window = "2025-01-01T00:40:00Z..2025-01-01T00:45:00Z"
    verdict(folder, EPISODE_ID, "expected", "--window", window)

    assert suppressions(folder) == {Suppression.CALENDAR}
    policy = current_policy(folder)
    assert policy is not None
    assert [w.name for w in policy.windows] == [f"verdict:{EPISODE_ID}"]
    assert not policy.learned.suppressions


WINDOW_END = "2025-01-02T00:00:00Z"
REFUSED = {
    (EPISODE_ID,): "the verdict is missing",
    (EPISODE_ID, "false", "--window", f"2025-01-01T00:00:00Z..{WINDOW_END}"): (
        'a window belongs to the verdict "expected"'
    ),
    (EPISODE_ID, "expected", "--window", WINDOW_END): "wanted BEGIN..END",
    (EPISODE_ID, "expected", "--window", f"{WINDOW_END}..2025-01-01T00:00:00Z"): (
        "the window ends before it begins"
    ),
    (EPISODE_ID, "undo"): "0 verdicts",
    ("sensors-7-1", "true"): 'no episode with the id "sensors-7-1"',
    (EPISODE_ID, "true", "--note", "x" * 2_001): "the note has 2001 characters",
}


def test_a_wrong_verdict_is_refused(folder: Path) -> None:
    for args, message in REFUSED.items():
        result = run_in_process("verdict", *args, folder=folder)

        assert result.code == 2, args
        assert message in result.err
    assert current_policy(folder) is None


def test_a_policy_file_keeps_what_was_learned(folder: Path) -> None:
    verdict(folder, EPISODE_ID, "false")
    policy = current_policy(folder)
    assert policy is not None
    (folder / "policy.toml").write_text('[[rule]]\nname = "long"\nmin_rows = 3\n')

    result = run_in_process("rules", "apply", "policy.toml", "--why", "less noise", folder=folder)

    assert result.code == 0, result.err
    applied = current_policy(folder)
    assert applied is not None
    assert applied.id in result.out
    assert [rule.name for rule in applied.rules] == ["long"]
    assert applied.learned == policy.learned


def test_the_learned_part_is_restored_from_the_audit_log(folder: Path) -> None:
    verdict(folder, EPISODE_ID, "false")
    policy = current_policy(folder)
    assert policy is not None
    (folder / "registry" / "default" / "policies" / f"{policy.id}.json").write_bytes(b"{}")
    (folder / "policy.toml").write_text('[[rule]]\nname = "long"\nmin_rows = 3\n')

    result = run_in_process("rules", "apply", "policy.toml", "--why", "repair", folder=folder)

    assert result.code == 0, result.err
    applied = current_policy(folder)
    assert applied is not None
    assert applied.learned == policy.learned


def test_the_verdict_is_shown_with_the_episode_and_counts_in_the_report(folder: Path) -> None:
    before = json.loads(run_in_process("alarms", "report", "--json", folder=folder).out)
    verdict(folder, EPISODE_ID, "expected", "--note", "washing", "--who", "anna")

    shown = run_in_process("episodes", "show", EPISODE_ID, folder=folder).out
    as_json = json.loads(
        run_in_process("episodes", "show", EPISODE_ID, "--json", folder=folder).out
    )
    report = json.loads(run_in_process("alarms", "report", "--json", folder=folder).out)
    text = run_in_process("alarms", "report", folder=folder).out

    assert "expected (by anna at " in shown
    assert ": washing" in shown
    assert as_json["verdict"]["verdict"] == "expected"
    assert (before["total"]["alarms"], before["total"]["without_verdict"]) == (1, 1)
    assert before["total"]["precision"] is None
    assert report["total"] == {
        "alarms": 1, "true": 0, "false": 0, "expected": 1, "without_verdict": 0, "precision": 0.0,
    }  # fmt: skip
    assert report["by"]["sensor"] == {"pump-7": report["total"]}
    assert "1 alarms, 1 with a verdict, 0 without; precision 0 %" in text
