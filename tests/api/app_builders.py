"""Builders of API applications with small models, and helpers that send requests to them."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from sensorwatch.api.app import create_app
from sensorwatch.api.page.page_backend import MakePage
from sensorwatch.api.serve_command import address_of, open_listener
from sensorwatch.api.service import Service
from sensorwatch.api.write_coalescing import CoalescingProtocol
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.setting_keys import Settings
from tests.page.local_page import LocalPage
from tests.reading_builders import a_candidate

ROW = {"timestamp": "2025-01-01T00:00:00", "x1": 0.1, "x2": 0.2, "x3": 0.3}
ANOMALY = {**ROW, "x1": 9.0, "x2": 9.0, "x3": 9.0}
JSON_HEADERS = {"Content-Type": "application/json"}


def a_registry(path: Path) -> Registry:
    """Return a registry in which `a_candidate()` is the champion of the model "default"."""
    registry = Registry(path)
    add_version(registry)
    return registry


def add_version(registry: Registry, *, seed: int = 7) -> str:
    """Register one more model version, make it the champion, and return the version's id."""
    version = registry.register("default", a_candidate(seed=seed), who="test", why="test")
    registry.promote("default", version, who="test", why="test", force="test")
    return version


class Client(httpx.Client):
    """An HTTP client of an application that runs in a thread of this process."""

    service: Service
    """The service object of the application, with its model and its metrics."""

    @property
    def page(self) -> LocalPage:
        """Return the live page of the application."""
        page = self.service.page
        assert isinstance(page, LocalPage)
        return page


@contextmanager
def a_client(registry: Path, **api: Any) -> Iterator[Client]:
    """Start an application and yield an HTTP client of it; `api`: settings of the table [api].

    The application has no page, so it does not connect to Kafka.
    """
    settings = {"registry": {"path": registry}, "api": api, "page": {"hours": 0}}
    with client_of(Settings.model_validate(settings)) as client:
        yield client


@contextmanager
def client_of(settings: Settings, make_page: MakePage = LocalPage) -> Iterator[Client]:
    """Start an application with these settings and yield an HTTP client of it."""
    app = create_app(lambda: settings, make_page=make_page)
    config = uvicorn.Config(app, log_config=None, access_log=False, http=CoalescingProtocol)
    server = uvicorn.Server(config)
    listener = open_listener("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        wait_until(lambda: server.started or not thread.is_alive())
        with Client(base_url=address_of(listener), timeout=30) as client:
            client.service = server.lifespan.state["service"]
            yield client
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait until a condition is true; fail if it is still false after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.005)


def post_rows(client: Client, *rows: object, query: str = "") -> httpx.Response:
    """Send rows to `/predict` and return the response."""
    return client.post(f"/predict{query}", json={"rows": rows})


def json_bytes(value: object) -> bytes:
    """Return a value as JSON; NaN, Infinity and lone surrogates are written, not refused."""
    return json.dumps(value).encode()


def problem_details(response: httpx.Response) -> dict[str, Any]:
    """Return the problem details (RFC 9457) of a response, after a check of the required fields."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    body: dict[str, Any] = response.json()
    assert body["status"] == response.status_code
    assert body["type"] == "about:blank"
    assert body["title"]
    assert body["detail"]
    return body


def error_pointers(response: httpx.Response) -> list[tuple[str, str | None]]:
    """Return the JSON pointer and the reason of each error in the problem details of a response."""
    return [
        (error["pointer"], error.get("reason")) for error in problem_details(response)["errors"]
    ]


def metric_value(client: Client, series: str) -> float:
    """Return a value from `/metrics`; `series`: name and labels of the metric, as in its output."""
    for line in client.get("/metrics").text.splitlines():
        name, _, value = line.rpartition(" ")
        if name == series:
            return float(value)
    raise AssertionError(f"no {series} in /metrics")
