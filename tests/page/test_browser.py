"""The page works in a real browser: from the topic to an incident that a person reads."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from confluent_kafka import Producer
from playwright.sync_api import BrowserContext

from sensorwatch.api.page.page_process import PageProcess
from sensorwatch.common.alarms.events import ClosingEvent, Event, Signal
from sensorwatch.common.kafka.event_types import EventType
from sensorwatch.common.verdicts.verdict_topic import read_verdicts
from tests.alarms.event_builders import an_alarm, an_end
from tests.api.app_builders import Client, wait_until
from tests.brokers.mock_cluster import MockCluster
from tests.page.browser import WAIT_MS, Tab, a_browser, open_tab
from tests.page.page_builders import HOSTILE_NAME, a_page, process_of, received
from tests.page.score_builders import a_record, a_row

pytestmark = [pytest.mark.slow, pytest.mark.embedded]

SEVERITIES = ("critical", "major", "warning", "info")
PHONE = {"width": 360, "height": 740}
DESK = {"width": 1_200, "height": 900}


def sensor_events(number: int) -> list[Event | ClosingEvent]:
    """Return the events of one sensor: every other episode is open."""
    minute = number % 600
    sensor = HOSTILE_NAME if number == 0 else f"pump-{number:02}"
    severity = SEVERITIES[number % 4]
    signals = [Signal("temperature", 90.0, 60.0, 75.0, "high", 1.0)]
    events: list[Event | ClosingEvent] = [
        msgspec.structs.replace(
            an_alarm(
                f"e{number}",
                minute + row,
                sensor=sensor,
                severity=severity,
                rows=row + 1,
                start_minute=minute,
            ),
            signals=signals,
        )
        for row in range(3)
    ]
    if number % 2:
        events.append(an_end(f"e{number}", minute + 5, sensor=sensor, severity=severity))
    return events


def write_events(address: str, events: list[Event | ClosingEvent]) -> None:
    producer = Producer({"bootstrap.servers": address})
    for event in events:
        kind = EventType.DETECTED if isinstance(event, Event) else EventType.CLOSED
        producer.produce(
            "anomalies", msgspec.json.encode(event), headers=[("ce_type", kind.encode())]
        )
    assert producer.flush(10) == 0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with a_browser(tmp_path_factory.mktemp("profile")) as context:
        yield context


@pytest.fixture
def page(tmp_path: Path, mock_cluster: MockCluster) -> Iterator[Client]:
    """Return a client of a service that follows the topic `anomalies` of a mock cluster."""
    for topic in ("anomalies", "sensors", "sensors.dlq"):
        mock_cluster.create_topic(topic)
    with a_page(tmp_path, kafka=mock_cluster.address) as client:
        wait_until(lambda: client.page.state.connection.is_complete)
        yield client


def test_a_person_reads_the_incidents_of_fifty_sensors(
    page: Client, mock_cluster: MockCluster, browser: BrowserContext
) -> None:
    tab = open_tab(browser, str(page.base_url))
    tab.wait_for_lanes()
    tab.page.get_by_text("No open incidents.").wait_for(timeout=WAIT_MS)

    write_events(mock_cluster.address, [e for n in range(50) for e in sensor_events(n)])

    tab.page.get_by_text("13 critical").wait_for(timeout=WAIT_MS)
    headings = tab.page.locator("#incidents h3").all_inner_texts()
    assert len(headings) == 25
    assert "pump-48: x1 is high in row 3" in headings[0]
    assert any("<img src=x onerror=alert(1)>" in heading for heading in headings)
    _check_scores(tab, page)
    _check_reload(tab, page)
    _check_keyboard(tab)
    _check_widths_and_schemes(tab)
    assert tab.messages == []
    tab.page.close()


def _check_scores(tab: Tab, page: Client) -> None:
    """Check that scores replace the alarms in the lanes, and that changes arrive without reload."""
    history = page.page.state.scores.history
    begin = page.page.state.window[1]
    history.add([a_record(*(a_row(f"pump-{n:02}", begin, score=n / 9) for n in range(50)))])
    tab.page.get_by_text("A mark shows the highest score").wait_for(timeout=WAIT_MS)
    tab.page.wait_for_selector("#sensors[data-lanes='20']", timeout=WAIT_MS)
    assert "No new scores arrive" in tab.page.locator("#lanes-hint").inner_text()
    with tab.page.expect_response("**/lanes", timeout=WAIT_MS):
        history.add([a_record(a_row("pump-00", begin + 60, score=99.0, severity=4))])
    tab.page.get_by_role("row", name="pump-00 critical 99").wait_for(timeout=WAIT_MS)


def _check_reload(tab: Tab, page: Client) -> None:
    """Check that a reloaded page has the incidents, and gets the next change."""
    tab.page.reload()
    assert tab.page.locator("#incidents h3").count() == 25
    tab.wait_for_lanes()
    new_alarm = an_alarm("new", 60, sensor="pump-new", severity="critical")
    page.page.state.add(received(new_alarm))
    tab.page.get_by_text("pump-new: x1 is high").wait_for(timeout=WAIT_MS)
    assert tab.page.locator("#incidents h3").count() == 26


def _check_keyboard(tab: Tab) -> None:
    """Check that the Tab key reaches every control, and arrow keys select a time."""
    controls = "a[href], button:not([disabled]), input, [tabindex='0']"
    expected = tab.page.locator(controls).count()
    tab.page.evaluate("document.activeElement.blur()")
    reached = tab.page.evaluate("new Array()")
    for _ in range(expected + 5):
        tab.page.keyboard.press("Tab")
        reached.append(
            tab.page.evaluate(
                f'[...document.querySelectorAll("{controls}")].indexOf(document.activeElement)'
            )
        )
    assert set(range(expected)) <= set(reached)
    tab.page.focus("#lanes")
    with tab.page.expect_response("**/odd?from=*"):
        tab.page.keyboard.press("ArrowLeft")
    with tab.page.expect_response("**/lanes?from=*"):
        tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("#zoom-out:focus", timeout=WAIT_MS)
    with tab.page.expect_response("**/odd"):
        tab.page.keyboard.press("Enter")


def _check_widths_and_schemes(tab: Tab) -> None:
    """Check the pages in light and dark, at the width of a desk and of a phone."""
    address = tab.page.url.rstrip("/")
    verdict, link = (
        tab.page.locator(f"#incidents a[href^='{path}']").nth(1).get_attribute("href")
        for path in ("/verdict", "/sensor")
    )
    for page_address in (f"{address}/", f"{address}{verdict}", f"{address}{link}"):
        tab.page.goto(page_address, timeout=WAIT_MS)
        for scheme in ("light", "dark"):
            tab.page.emulate_media(color_scheme=scheme)
            assert tab.violations() == [], (page_address, scheme)
        for size in (PHONE, DESK):
            tab.page.set_viewport_size(size)  # type: ignore[arg-type]  # a typed dict
            assert tab.is_as_wide_as_the_window(), (page_address, size)
    assert tab.page.locator(".timeline-plot").count() == 1
    assert tab.page.locator(".history-plot").count() == 1
    tab.page.get_by_text("flow as a table").click()
    assert tab.page.locator("details tbody tr").count() >= 1


def test_a_page_continues_after_its_process_was_killed(
    tmp_path: Path, browser: BrowserContext
) -> None:
    with a_page(tmp_path, make_page=PageProcess) as client:
        tab = open_tab(browser, str(client.base_url))
        tab.wait_for_lanes()

        os.kill(process_of(client), signal.SIGKILL)

        tab.page.get_by_text("This page gets no changes").wait_for(timeout=WAIT_MS)
        tab.page.wait_for_selector("html[data-stream=open]", state="attached", timeout=30_000)
        assert tab.page.locator("#stream-problem").is_hidden()
        assert tab.violations() == []
        tab.page.close()


@pytest.mark.long
@pytest.mark.parametrize("sensors", [1, 5_000])
def test_the_page_shows_one_sensor_and_thousands(
    page: Client, browser: BrowserContext, sensors: int
) -> None:
    events = [event for number in range(sensors) for event in sensor_events(number)]
    page.page.state.add(received(*events))

    tab = open_tab(browser, str(page.base_url))
    tab.wait_for_lanes()

    assert tab.page.locator("#odd tbody tr").count() == min(sensors, 20)
    assert tab.violations() == []
    assert tab.messages == []
    tab.page.close()


def test_a_person_gives_a_verdict_with_the_keyboard(
    page: Client, mock_cluster: MockCluster, browser: BrowserContext
) -> None:
    page.service.page.settings.registry.path.mkdir()
    tab = open_tab(browser, str(page.base_url))
    write_events(mock_cluster.address, sensor_events(4))
    link = tab.page.get_by_role("link", name="False alarm")
    link.wait_for(timeout=WAIT_MS)

    link.focus()
    tab.page.keyboard.press("Enter")
    tab.page.get_by_label("Note").wait_for(timeout=WAIT_MS)
    assert tab.page.get_by_role("radio", name="False: nothing was wrong.").is_checked()
    tab.page.get_by_label("Note").focus()
    tab.page.keyboard.type("a test run")
    tab.page.keyboard.press("Tab")
    tab.page.keyboard.type("anna")
    tab.page.keyboard.press("Enter")

    tab.page.get_by_role("heading", name="The verdict is stored").wait_for(timeout=WAIT_MS)
    settings = page.service.page.settings
    (record,) = read_verdicts(settings.kafka, settings.verdicts_topic).values()
    assert (record.verdict, record.who, record.note) == ("false", "anna", "a test run")
    assert tab.violations() == []
    assert tab.messages == []
    tab.page.close()
