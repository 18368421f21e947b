"""The page about the notifier matches the program."""

import re

from prometheus_client import CollectorRegistry

from sensorwatch.notify.cloud_events import TYPES
from sensorwatch.notify.metrics import NotifyMetrics
from tests.deploy.compose import ROOT

PAGE = (ROOT / "docs" / "notify.md").read_text()


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
