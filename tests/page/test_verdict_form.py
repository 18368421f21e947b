"""A person judges an alarm on the page; forms of other sites are refused."""

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import msgspec
import pytest

from sensorwatch.common.alarms.events import Signal
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.verdicts.verdict_topic import read_verdicts
from tests.alarms.event_builders import an_alarm, an_end
from tests.api.app_builders import Client, wait_until
from tests.brokers.mock_cluster import MockCluster
from tests.page.page_builders import HOSTILE_NAME, a_page, received

pytestmark = pytest.mark.embedded

EPISODE_ID = "sensors-0-1"
SAME_SITE = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def page(
    tmp_path_factory: pytest.TempPathFactory, mock_cluster_of_module: MockCluster
) -> Iterator[Client]:
    """Return a client of a page with one closed alarm of a sensor with a hostile name."""
    folder = tmp_path_factory.mktemp("page")
    (folder / "registry").mkdir()
    with a_page(folder, kafka=mock_cluster_of_module.address) as client:
        wait_until(lambda: client.page.state.connection.is_complete)
        signals = [Signal("x1", 9.0, -1.0, 1.0, "high", 1.0)]
        alarm = msgspec.structs.replace(
            an_alarm(EPISODE_ID, 3, sensor=HOSTILE_NAME, severity="critical", group="pumps"),
            signals=signals,
        )
        end = an_end(EPISODE_ID, 12, sensor=HOSTILE_NAME, severity="critical", group="pumps")
        client.page.state.add(received(alarm, end))
        yield client


@pytest.fixture(scope="module")
def mock_cluster_of_module() -> Iterator[MockCluster]:
    with MockCluster() as cluster:
        cluster.create_topic("anomalies")
        yield cluster


def a_form(page: Client) -> dict[str, str]:
    """Return the hidden fields of the form, with a verdict and a note."""
    text = page.get("/verdict", params={"episode": EPISODE_ID, "verdict": "false"}).text
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', text)
    return {**{name: unescape(value) for name, value in hidden}, "verdict": "false", "note": "ok"}


def send(page: Client, form: dict[str, str], headers: dict[str, str]) -> httpx.Response:
    return page.post("/verdict", data=form, headers=headers)


def current_policy_id(page: Client) -> str | None:
    registry = page.service.page.settings.registry
    return PolicyRegistry(registry.path, registry.model).current_id()


def test_the_form_is_safe_labelled_and_has_no_inline_script(page: Client) -> None:
    answer = page.get("/verdict", params={"episode": EPISODE_ID, "verdict": "expected"})

    assert answer.status_code == 200
    text = answer.text
    assert HOSTILE_NAME not in text
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=\"|style=", text)
    assert re.search(r'value="expected" required checked', text)
    for name in ("note", "who"):
        assert f'<label for="{name}">' in text
    assert text.count('type="radio"') == 3
    assert "<fieldset>" in text


@pytest.mark.parametrize(
    ("headers", "changes"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, {}),
        ({"Sec-Fetch-Site": "same-site"}, {}),
        ({"Origin": "http://evil.example"}, {}),
        ({"Origin": "null"}, {}),
        (SAME_SITE, {"token": "0" * 64}),
        (SAME_SITE, {"token": ""}),
        (SAME_SITE, {"token": "é"}),
    ],
)
def test_a_form_of_another_site_is_refused(
    page: Client, headers: dict[str, str], changes: dict[str, str]
) -> None:
    answer = send(page, a_form(page) | changes, headers)

    assert answer.status_code == 403
    assert "is not a form of this page" in answer.text
    assert current_policy_id(page) is None


def test_a_form_without_a_verdict_or_with_an_unknown_alarm_is_refused(page: Client) -> None:
    assert send(page, a_form(page) | {"verdict": "undone"}, SAME_SITE).status_code == 422
    assert send(page, a_form(page) | {"episode": "other"}, SAME_SITE).status_code == 404
    assert page.get("/verdict?episode=other").status_code == 404
    assert current_policy_id(page) is None


def test_a_verdict_of_the_form_is_stored_and_builds_the_next_policy(page: Client) -> None:
    form = a_form(page) | {"who": "anna", "scope": "group"}

    answer = send(page, form, SAME_SITE)

    assert answer.status_code == 200, answer.text
    assert "The verdict is stored" in answer.text
    settings = page.service.page.settings
    record = read_verdicts(settings.kafka, settings.verdicts_topic)[EPISODE_ID]
    assert (record.verdict, record.who, record.note) == ("false", "anna", "ok")
    assert (record.source, record.sensor_id) == ("page", HOSTILE_NAME)
    policy = PolicyRegistry(settings.registry.path, settings.registry.model).current()
    assert policy is not None
    assert policy.id == record.policy
    (suppression,) = policy.learned.suppressions
    assert (suppression.group, suppression.signals[0].name) == ("pumps", "x1")
    (entry,) = Registry(settings.registry.path).audit(settings.registry.model)
    assert (entry.action, entry.who, entry.why) == ("verdict", "anna", "ok")


def test_the_sensor_page_and_the_incident_link_to_the_form(page: Client) -> None:
    page.page.state.add(received(an_alarm("open", 20, sensor="pump-2")))

    sensor_page = page.get("/sensor", params={"id": HOSTILE_NAME, "episode": EPISODE_ID}).text

    assert f'href="/verdict?episode={EPISODE_ID}&amp;verdict=false"' in sensor_page
    assert 'href="/verdict?episode=open&amp;verdict=true"' in page.get("/").text


def test_without_access_there_is_no_form_and_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"secret")
    with a_page(tmp_path, api_key_file=str(tmp_path / "key")) as client:
        client.page.state.add(received(an_alarm(EPISODE_ID, 3)))

        for answer in (
            client.get("/verdict", params={"episode": EPISODE_ID}),
            client.post("/verdict", data={"episode": EPISODE_ID}, headers=SAME_SITE),
        ):
            assert answer.status_code == 303
            assert answer.headers["location"] == "/login"
