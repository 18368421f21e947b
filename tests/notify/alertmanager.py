"""A real Alertmanager, which sends what it gets to a webhook of the test."""

import json
import shutil
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.ports import free_port

CONFIGURATION = """
route:
  receiver: page
  group_by: ["..."]
  group_wait: 0s
  group_interval: 1s
receivers:
  - name: page
    webhook_configs:
      - url: {url}
"""


def reason_alertmanager_is_missing() -> str | None:
    """Return why no Alertmanager can be started, or None if the program is installed."""
    if shutil.which("prometheus-alertmanager") is None:
        return "no prometheus-alertmanager on the PATH (Debian's package has the same name)"
    return None


class Alertmanager:
    """An Alertmanager on a free port."""

    def __init__(self, folder: Path, *, webhook: str) -> None:
        """Start it; `webhook`: the URL that gets its messages."""
        (folder / "alertmanager.yml").write_text(CONFIGURATION.format(url=webhook))
        self._folder, self.port = folder, free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.start()

    def start(self) -> None:
        """Start the program, without waiting until it answers."""
        options = [
            f"--config.file={self._folder / 'alertmanager.yml'}",
            f"--storage.path={self._folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
        ]
        self._program = ChildProcess(
            ["prometheus-alertmanager", *options], log=self._folder / "alertmanager.log"
        )

    def wait_ready(self) -> None:
        """Wait until it answers."""
        wait_until(self._is_answering, deadline=30, what="Alertmanager to answer", every=0.1)

    def alerts(self, **query: str) -> list[dict[str, Any]]:
        """Return the alerts that fire now."""
        with urlopen(f"{self.address}/api/v2/alerts", timeout=10) as response:
            alerts: list[dict[str, Any]] = json.load(response)
        return alerts

    def close(self) -> None:
        """Stop the program."""
        self._program.close()

    def _is_answering(self) -> bool:
        assert self._program.running, last_lines(self._program.log)
        try:
            self.alerts()
        except (URLError, OSError):
            return False
        return True
