"""The page about the notifier and the example for Alertmanager match the program."""

import re
import shutil
import subprocess

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.notify.alerts import ALIVE_ALERT
from sensorwatch.notify.cloud_events import TYPES
from sensorwatch.notify.metrics import NotifyMetrics
from tests.brokers.real_kafka import kafka_required
from tests.deploy.compose import ROOT

PAGE = (ROOT / "docs" / "notify.md").read_text()
EXAMPLE = ROOT / "deploy" / "alertmanager" / "alertmanager.yml"


def test_amtool_accepts_the_example() -> None:
    if shutil.which("amtool") is None:
        if kafka_required():
            pytest.fail("no amtool on the PATH, and CI needs it", pytrace=False)
        pytest.skip("no amtool on the PATH (Debian's package prometheus-alertmanager has it)")
    command = ["amtool", "check-config", str(EXAMPLE)]

    result = subprocess.run(command, capture_output=True, text=True, check=False)

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_example_routes_the_alert_of_a_live_notifier() -> None:
    assert f'alertname="{ALIVE_ALERT}"' in EXAMPLE.read_text()
    assert ALIVE_ALERT in PAGE


def test_the_page_lists_every_metric_of_the_notifier() -> None:
    registry = CollectorRegistry()
    NotifyMetrics(registry, targets=["target"])
    families = {family.name for family in registry.collect()}
    names = {name for name in families if name.startswith("sensorwatch_notify_")}

    documented = re.findall(r"^\| `(sensorwatch_notify_\w+?)(?:_total)?[`{]", PAGE, re.MULTILINE)

    assert set(documented) == names


def test_the_page_lists_every_type_of_event() -> None:
    assert set(re.findall(r"^\| `(io\.sensorwatch\.\S+)`", PAGE, re.MULTILINE)) == set(
        TYPES.values()
    )
