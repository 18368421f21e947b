"""Builds states and services of the live page."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sensorwatch.api.page.page_backend import MakePage
from sensorwatch.api.page.page_process import PageProcess
from sensorwatch.api.page.page_state import PageState, ReceivedEvent
from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.common.runtime.setting_keys import Settings
from tests.alarms.event_builders import a_time
from tests.api.app_builders import Client, client_of, wait_until
from tests.brokers.ports import free_port
from tests.page.local_page import LocalPage

HOSTILE_NAME = "<img src=x onerror=alert(1)>\"'&\u202e"


def seconds_of(minute: int) -> float:
    """Return the event time of a minute of a day, in seconds since 1970 UTC."""
    return datetime.fromisoformat(a_time(minute)).timestamp()


def received(*events: AnyEvent) -> list[ReceivedEvent]:
    """Return events that were written to the topic at their event times."""
    return [
        ReceivedEvent(event, datetime.fromisoformat(event.event_time).timestamp())
        for event in events
    ]


def a_state(events: Iterable[AnyEvent] = (), *, hours: float = 12) -> PageState:
    """Return a connected state with these events, and a clock that is at minute 0."""
    state = PageState(hours, clock=lambda: seconds_of(0))
    state.connect()
    state.complete()
    state.add(received(*events))
    return state


@contextmanager
def a_page(
    folder: Path,
    *,
    kafka: str = "",
    hours: float = 12,
    published_on_loopback: bool = False,
    make_page: MakePage = LocalPage,
    **api: Any,
) -> Iterator[Client]:
    """Start a service with a page. Without the address of a Kafka, no broker is reachable."""
    address = kafka or f"127.0.0.1:{free_port()}"
    settings = {
        "kafka": {"bootstrap.servers": address},
        "registry": {"path": folder / "registry"},
        "api": api,
        "page": {"hours": hours, "published_on_loopback": published_on_loopback},
    }
    with client_of(Settings.model_validate(settings), make_page) as client:
        yield client


def process_of(client: Client) -> int:
    """Return the id of the process that renders the page, as soon as it runs."""
    page = client.service.page
    assert isinstance(page, PageProcess)
    wait_until(lambda: page.process_id is not None)
    assert page.process_id is not None
    return page.process_id
