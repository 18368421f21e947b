"""A real Prometheus server with this project's configuration, and calls of promtool."""

import json
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from urllib.request import urlopen

from ruamel.yaml import YAML

from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.ports import free_port
from tests.deploy.compose import ROOT

PROMETHEUS_FOLDER = ROOT / "deploy" / "prometheus"
ALERTS_FILE = PROMETHEUS_FOLDER / "alerts.yml"
PROMTOOL_TESTS = sorted(Path(__file__).parent.glob("*_test.yml"))
"""Files with test cases of the alerts, for `promtool test rules`."""


def reason_prometheus_is_missing() -> str | None:
    """Return which programs are missing, as a message, or None if both are installed."""
    missing_programs = [name for name in ("prometheus", "promtool") if shutil.which(name) is None]
    if not missing_programs:
        return None
    names = " and no ".join(missing_programs)
    return f"no {names} on the PATH (Debian's package `prometheus` has them)"


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file."""
    return YAML(typ="safe").load(path)


@cache
def alert_rules() -> dict[str, dict[str, Any]]:
    """Return all alert rules by name."""
    groups = read_yaml(ALERTS_FILE)["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool with `text` on standard input, and return its exit code and its output."""
    command = ["promtool", *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True)
class Sample:
    """The value of one series in the result of an instant query."""

    labels: dict[str, str]
    value: float


class Prometheus:
    """A Prometheus server with this project's configuration, which scrapes every second."""

    def __init__(self, folder: Path, targets: dict[str, str]) -> None:
        """Start the server; `targets` maps host:port in the configuration to a real address."""
        text = (PROMETHEUS_FOLDER / "prometheus.yml").read_text()
        for configured_text, replacement in {**targets, "interval: 5s": "interval: 1s"}.items():
            assert configured_text in text, f"{configured_text} is not in prometheus.yml"
            text = text.replace(configured_text, replacement)
        (folder / "prometheus.yml").write_text(text)
        shutil.copy(ALERTS_FILE, folder)
        port = free_port()
        self.address = f"http://127.0.0.1:{port}"
        options = [
            f"--config.file={folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._program = ChildProcess(["prometheus", *options], log=folder / "prometheus.log")

    def query(self, expression: str) -> list[Sample]:
        """Return the current samples of an expression; an invalid expression raises HTTPError."""
        series = self._get_data("query", query=expression)["result"]
        return [Sample(entry["metric"], float(entry["value"][1])) for entry in series]

    def single_value(self, expression: str) -> float | None:
        """Return the value of an expression's only series; None if there are none or several."""
        samples = self.query(expression)
        return samples[0].value if len(samples) == 1 else None

    def wait_for(self, expression: str, value: float, *, deadline: float = 20) -> None:
        """Wait until an expression has exactly one series, and this series has the given value."""
        wait_until(
            lambda: self.single_value(expression) == value,
            deadline=deadline,
            what=f"{expression} == {value:g}",
            every=0.2,
        )

    def metric_names(self) -> set[str]:
        """Return the names of all scraped metrics."""
        names: list[str] = self._get_data("label/__name__/values")
        return set(names)

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules of all alerts, each with its health and state."""
        return [rule for group in self._get_data("rules")["groups"] for rule in group["rules"]]

    def wait_ready(self) -> Self:
        """Wait until the server answers requests; return the server."""
        wait_until(self._is_answering, deadline=30, what="Prometheus to answer", every=0.1)
        return self

    def close(self) -> None:
        """Stop the server."""
        self._program.close()

    def _is_answering(self) -> bool:
        assert self._program.running, last_lines(self._program.log)
        try:
            self._get_data("rules")
        except OSError:
            return False
        return True

    def _get_data(self, path: str, **parameters: str) -> Any:
        url = f"{self.address}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=10) as response:
            return json.load(response)["data"]
