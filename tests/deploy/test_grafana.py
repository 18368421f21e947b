"""Tests that Grafana's provisioning files, its dashboards and the compose file fit together."""

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.deploy.compose import ROOT, read_compose, services

GRAFANA_FOLDER = ROOT / "deploy" / "grafana"
PROVISIONING_FOLDER = GRAFANA_FOLDER / "provisioning"
DASHBOARDS = sorted((GRAFANA_FOLDER / "dashboards").glob("*.json"))


def read_yaml(name: str) -> Any:
    """Return the content of a provisioning file."""
    return YAML(typ="safe").load(PROVISIONING_FOLDER / name)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_a_dashboard_uses_the_provisioned_data_source(file: Path) -> None:
    data_source = read_yaml("datasources/prometheus.yml")["datasources"][0]
    dashboard = json.loads(file.read_text())
    assert len(dashboard["panels"]) >= 10
    assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {data_source["uid"]}


def test_there_is_a_dashboard_of_operations_and_one_of_what_is_detected() -> None:
    dashboards = [json.loads(file.read_text()) for file in DASHBOARDS]
    assert {dashboard["title"] for dashboard in dashboards} == {
        "sensorwatch: operations",
        "sensorwatch: what is detected",
    }
    assert len({dashboard["uid"] for dashboard in dashboards}) == len(dashboards)


@pytest.mark.parametrize("file", DASHBOARDS, ids=lambda file: file.stem)
def test_the_panels_of_a_dashboard_do_not_overlap(file: Path) -> None:
    panels = json.loads(file.read_text())["panels"]
    cells = [
        (x, y)
        for position in (panel["gridPos"] for panel in panels)
        for x in range(position["x"], position["x"] + position["w"])
        for y in range(position["y"], position["y"] + position["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_data_source_is_the_prometheus_of_the_compose_file() -> None:
    data_source = read_yaml("datasources/prometheus.yml")["datasources"][0]
    assert data_source["url"] == "http://prometheus:9090"
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
