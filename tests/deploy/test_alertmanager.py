"""Tests of the example for Alertmanager: where it sends which alert, and what it inhibits."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sensorwatch.notify.alerts import ALIVE_ALERT, IDLE_ALERT, INCIDENT_ALERT
from tests.brokers.real_kafka import kafka_required
from tests.deploy.compose import ROOT
from tests.deploy.prometheus import alert_rules, read_yaml

EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


@pytest.fixture(scope="module", autouse=True)
def _require_amtool() -> None:
    if shutil.which("amtool") is not None:
        return
    if kafka_required():
        pytest.fail("no amtool on the PATH, and CI needs it", pytrace=False)
    pytest.skip("no amtool on the PATH (Debian's package prometheus-alertmanager has it)")


def amtool(*arguments: str) -> str:
    """Run amtool and return its output; fail if its exit code is not 0."""
    result = subprocess.run(["amtool", *arguments], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def receiver(alert: str, *labels: str) -> str:
    """Return the receiver of an alert with labels such as `severity=critical`."""
    options = ("config", "routes", "test", f"--config.file={EXAMPLE}")
    return amtool(*options, f"alertname={alert}", *labels).strip()


def test_amtool_accepts_the_example() -> None:
    amtool("check-config", str(EXAMPLE))


@pytest.mark.parametrize("severity", ["critical", "warning"])
def test_only_critical_alerts_of_prometheus_page_a_person(severity: str) -> None:
    alert = next(
        name for name, rule in alert_rules().items() if rule["labels"]["severity"] == severity
    )
    assert (
        receiver(alert, f"severity={severity}")
        == {"critical": "pager", "warning": "chat"}[severity]
    )


def test_incidents_and_idle_partitions_page_a_person() -> None:
    assert receiver(INCIDENT_ALERT, "group=line-3") == "pager"
    assert receiver(INCIDENT_ALERT, "group=line-3", "route=pager") == "pager"
    assert receiver(INCIDENT_ALERT, "group=line-3", "route=line-3") == "chat"
    assert receiver(IDLE_ALERT, "topic=sensors", "partition=0") == "pager"
    assert receiver(ALIVE_ALERT) == "dead-man"


@pytest.mark.parametrize(
    ("labels", "annotations", "expected"),
    [
        ({"severity": "critical"}, {"summary": "down", "runbook_url": "URL"}, "critical: down URL"),
        ({}, {"summary": "stuck", "severity": "major"}, "major: stuck README.md"),
    ],
    ids=["an alert of Prometheus", "an incident of the notifier"],
)
def test_a_page_has_severity_summary_and_runbook(
    labels: dict[str, str], annotations: dict[str, str], expected: str, tmp_path: Path
) -> None:
    receivers = {entry["name"]: entry for entry in read_yaml(EXAMPLE)["receivers"]}
    pager = receivers["pager"]["pagerduty_configs"][0]
    (tmp_path / "none.tmpl").write_text('{{ define "none" }}{{ end }}')
    (tmp_path / "data.json").write_text(
        json.dumps({"commonLabels": labels, "commonAnnotations": annotations})
    )

    text = amtool(
        "template",
        "render",
        f"--template.glob={tmp_path / 'none.tmpl'}",
        f"--template.data={tmp_path / 'data.json'}",
        f"--template.text={pager['description']} {pager['details']['runbook']}",
    )

    assert re.sub(r"https://\S+/", "", text.strip()) == expected


def test_every_alert_that_the_example_names_exists() -> None:
    named = re.findall(r'alertname=~?"([^"]+)"', EXAMPLE.read_text())
    names = {name for text in named for name in text.split("|")}
    assert INCIDENT_ALERT in names
    assert names <= {*alert_rules(), INCIDENT_ALERT, IDLE_ALERT, ALIVE_ALERT}
