"""Tests that every alert rule has a severity, a runbook and a promtool test in which it fires."""

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.compose import ROOT
from tests.deploy.prometheus import ALERTS_FILE, PROMTOOL_TESTS, alert_rules, read_yaml
from tests.docs.markdown_pages import lines_of, prose_of

RUNBOOKS = ROOT / "docs" / "runbooks"
HEADINGS = ["## What it means", "## What to do now", "## How to see more"]


def expected_results() -> Iterator[dict[str, Any]]:
    """Yield each expected result of the promtool tests: an alert at a time of a test case."""
    for path in PROMTOOL_TESTS:
        for case in read_yaml(path)["tests"]:
            yield from case["alert_rule_test"]


def runbook(alert: str) -> str:
    """Return the path of the page of an alert, relative to the repository."""
    return f"docs/runbooks/{alert}.md"


def test_there_is_a_group_for_alarms_and_one_for_operations() -> None:
    names = [group["name"] for group in read_yaml(ALERTS_FILE)["groups"]]
    assert names == ["sensorwatch-alarms", "sensorwatch-operations"]


@pytest.mark.parametrize("alert", alert_rules())
def test_a_rule_has_a_severity_and_the_address_of_its_page(alert: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    address = f"{project['urls']['Repository']}/blob/main/{runbook(alert)}"
    rule = alert_rules()[alert]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert rule["annotations"]["runbook_url"] == address


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    pages = {path.stem for path in RUNBOOKS.glob("*.md")} - {"README"}
    assert pages == set(alert_rules())


@pytest.mark.parametrize("alert", alert_rules())
def test_a_page_begins_with_what_the_person_sees(alert: str) -> None:
    lines = lines_of(runbook(alert))
    assert lines[0] == f"# {alert}"
    assert lines[2].startswith("You see: ")
    headings = [line for _, line in prose_of(runbook(alert)) if line.startswith("## ")]
    assert headings == HEADINGS
    assert any(line.startswith(("sensorwatch ", "docker compose ")) for line in lines)


def test_the_index_has_every_alert_with_its_severity() -> None:
    rows = [line for _, line in prose_of("docs/runbooks/README.md") if line.startswith("| [")]
    listed = {row.split("]")[0][3:]: row.split("|")[2].strip() for row in rows}
    assert listed == {name: rule["labels"]["severity"] for name, rule in alert_rules().items()}


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    results = list(expected_results())
    fired = {result["alertname"] for result in results if result.get("exp_alerts")}
    quiet = {result["alertname"] for result in results if not result.get("exp_alerts")}
    assert fired == set(alert_rules())
    assert quiet == set(alert_rules())
