"""`/predict` follows the policy in force."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.api.response_models import PredictAnswer
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.policy.policy_builders import a_policy

POLICY = a_policy(
    """
[[rule]]
name = "only-low"
direction = "low"

[[rule]]
name = "x1-limit"
sensor = "tank"
signal = "x1"
high_limit = 0.5
severity = "major"

[[rule]]
name = "patience"
min_rows = 2
sensor = "slow"

[[window]]
name = "inventory"
action = "annotate"
dates = [2025-01-01]
zone = "UTC"
"""
)
MODERATE = {**ROW, "x1": 0.6, "sensor_id": "tank"}
"""A row that the model finds usual and that is beyond the limit of x1."""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    """Return a client of an application that looks for a new policy only on request."""
    monkeypatch.setattr("sensorwatch.api.champion_follower.POLL_INTERVAL_SECONDS", 3600)
    apps.a_registry(tmp_path)
    with apps.a_client(tmp_path) as client:
        yield client


def apply_policy(folder: Path, policy: AlarmPolicy = POLICY) -> None:
    PolicyRegistry(folder, "default").apply(policy, who="test", why="test")


def answer(client: Client, *rows: dict[str, Any]) -> dict[str, Any]:
    response = apps.post_rows(client, *rows)
    assert response.status_code == 200, response.text
    PredictAnswer.model_validate_json(response.content)
    content: dict[str, Any] = response.json()
    return content


def test_without_a_policy_the_response_has_no_field_of_a_policy(client: Client) -> None:
    content = answer(client, MODERATE, ANOMALY)

    assert "policy" not in content
    assert [row["is_anomaly"] for row in content["rows"]] == [False, True]
    for row in content["rows"]:
        assert not {"cause", "limit_rule", "suppressed_by", "window"} & row.keys()


def test_an_empty_policy_changes_no_score_and_no_decision(client: Client, tmp_path: Path) -> None:
    plain = answer(client, MODERATE, ANOMALY)
    apply_policy(tmp_path, a_policy(""))
    client.service.follower.check_once()

    under_policy = answer(client, MODERATE, ANOMALY)

    assert under_policy.pop("policy") == a_policy("").id
    anomalous_row = under_policy["rows"][1]
    assert anomalous_row.pop("cause") == "model"
    assert [anomalous_row.pop(key) for key in ("limit_rule", "suppressed_by", "window")] == [""] * 3
    assert under_policy == plain


def test_a_new_policy_is_adopted_without_a_restart(client: Client, tmp_path: Path) -> None:
    apply_policy(tmp_path)

    client.service.follower.check_once()

    content = answer(client, MODERATE)
    assert content["policy"] == POLICY.id
    assert content["anomalies"] == 1


def test_a_row_beyond_a_hard_limit_is_an_anomaly_with_the_cause_limit(
    client: Client, tmp_path: Path
) -> None:
    raw_score = answer(client, MODERATE)["rows"][0]["raw_score"]
    apply_policy(tmp_path)
    client.service.follower.check_once()

    (row,) = answer(client, MODERATE)["rows"]

    assert (row["is_anomaly"], row["cause"], row["limit_rule"]) == (True, "limit", "x1-limit")
    assert (row["severity"], row["suppressed_by"]) == ("major", "")
    assert row["raw_score"] == raw_score
    assert row["message"] == "x1 is 0.6, above its limit of 0.5 (rule x1-limit)"


def test_a_suppressed_row_names_its_rule_and_its_window(client: Client, tmp_path: Path) -> None:
    (plain_row,) = answer(client, ANOMALY)["rows"]
    apply_policy(tmp_path)
    client.service.follower.check_once()

    (row,) = answer(client, ANOMALY)["rows"]

    assert (plain_row["is_anomaly"], plain_row["severity"]) == (True, "major")
    assert (row["is_anomaly"], row["cause"], row["severity"]) == (True, "model", "info")
    assert (row["suppressed"], row["suppressed_by"]) == ("rule", "only-low")
    assert row["window"] == "inventory"


def test_min_rows_counts_the_rows_of_the_request(client: Client, tmp_path: Path) -> None:
    apply_policy(tmp_path)
    client.service.follower.check_once()
    low = {**ROW, "x1": -9.0, "x2": -9.0, "x3": -9.0, "sensor_id": "slow"}

    rows = answer(client, low, {**low, "timestamp": "2025-01-01T00:00:01"})["rows"]

    assert [row["suppressed_by"] for row in rows] == ["patience", ""]


def test_a_damaged_policy_does_not_replace_the_policy_in_force(
    client: Client, tmp_path: Path
) -> None:
    apply_policy(tmp_path)
    client.service.follower.check_once()
    (tmp_path / "default" / "policies" / "current.json").write_text("{")

    client.service.follower.check_once()

    assert answer(client, ROW)["policy"] == POLICY.id


def test_without_a_readable_policy_at_the_start_no_version_is_served(tmp_path: Path) -> None:
    apps.a_registry(tmp_path)
    apply_policy(tmp_path)
    (tmp_path / "default" / "policies" / f"{POLICY.id}.json").write_text("{}")

    with apps.a_client(tmp_path) as client:
        assert client.get("/readyz").status_code == 503
