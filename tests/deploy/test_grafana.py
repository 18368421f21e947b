"""Grafana's provisioning files refer to each other correctly."""

import json
from typing import Any

from ruamel.yaml import YAML

from tests.deploy.compose import ROOT, read_compose, services

GRAFANA = ROOT / "deploy" / "grafana"
PROVISIONING = GRAFANA / "provisioning"


def read_yaml(name: str) -> Any:
    """Return the content of a provisioning file."""
    return YAML(typ="safe").load(PROVISIONING / name)


def test_the_dashboard_uses_the_provisioned_data_source() -> None:
    source = read_yaml("datasources/prometheus.yml")["datasources"][0]
    dashboard = json.loads((GRAFANA / "dashboards" / "sensorwatch.json").read_text())
    assert len(dashboard["panels"]) >= 10
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}


def test_the_data_source_is_the_prometheus_of_the_compose_file() -> None:
    source = read_yaml("datasources/prometheus.yml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert services()["prometheus"].container_ports == (9090,)


def test_the_dashboards_are_mounted_in_the_provisioned_folder() -> None:
    folder = read_yaml("dashboards/sensorwatch.yml")["providers"][0]["options"]["path"]
    mounts = read_compose()["services"]["grafana"]["volumes"]
    assert f"./deploy/grafana/dashboards:{folder}:ro" in mounts


def test_every_mounted_folder_of_the_repository_exists() -> None:
    mounts = [
        mount.partition(":")[0]
        for service in read_compose()["services"].values()
        for mount in service.get("volumes", [])
        if mount.startswith("./")
    ]
    assert mounts
    assert [mount for mount in mounts if not (ROOT / mount).is_dir()] == []
