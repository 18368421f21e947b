"""The page is shown only to clients with access, is safe in a browser, and needs no broker."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from sensorwatch.api.page import topic_thread
from sensorwatch.api.page.access import COOKIE_NAME, SESSION_SECONDS
from sensorwatch.api.page.live_page import MAX_STREAMS
from sensorwatch.api.page.page_templates import STATIC_FOLDER
from tests.alarms.event_builders import an_alarm
from tests.api.app_builders import Client, wait_until
from tests.page.page_builders import HOSTILE_NAME, a_page, received

KEY = "sécret key".encode()
PAGES = ("/", "/sensor?id=pump-1", "/odd")
SCRIPT_ADDRESSES = ("/lanes", "/events-stream")


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a service without a broker, without a model and without a key."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(topic_thread, "CONNECT_SECONDS", 0.2)
        with a_page(tmp_path_factory.mktemp("page")) as client:
            yield client


@pytest.fixture(scope="module")
def page_with_key(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a service with a key, which the client does not send."""
    folder = tmp_path_factory.mktemp("page_with_key")
    (folder / "key").write_bytes(KEY)
    with a_page(folder, api_key_file=str(folder / "key")) as client:
        yield client


def log_in(client: Client, key: bytes) -> httpx.Response:
    encoded_key = "".join(f"%{byte:02x}" for byte in key)
    return client.post(
        "/login",
        content=f"key={encoded_key}",
        headers={"Content-Type": "application/x-www-form-urlencoded"},
    )


def test_without_a_broker_the_page_says_so_and_the_rest_works(page: Client) -> None:
    wait_until(lambda: bool(page.page.state.connection.problem))

    text = page.get("/").text

    assert "No new events." in text
    assert "not reachable" in text
    assert page.get("/livez").status_code == 200
    assert page.get("/health").json()["status"] == "no_model"
    assert page.get("/openapi.json").status_code == 200
    assert page.get("/docs").status_code == 200


@pytest.mark.parametrize("path", [*PAGES, "/login"])
def test_pages_have_a_content_security_policy_and_no_inline_code(
    page_with_key: Client, path: str
) -> None:
    headers = [] if path == "/login" else [(b"X-API-Key", KEY)]
    response = page_with_key.get(path, headers=headers)

    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert response.headers["cache-control"] == "no-store"
    for inline in ("style=", "<style", " onclick", "javascript:", "<script>"):
        assert inline not in response.text


def test_the_page_loads_nothing_from_elsewhere() -> None:
    for path in STATIC_FOLDER.iterdir():
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "://" not in text, path


def test_static_files_are_served(page: Client) -> None:
    for path in STATIC_FOLDER.iterdir():
        assert page.get(f"/page/{path.name}").text == path.read_text()


@pytest.mark.parametrize(
    "host", ["sensorwatch.example", "192.0.2.7:8000", "localhost.evil.example"]
)
def test_without_a_key_only_this_computer_sees_the_page(page: Client, host: str) -> None:
    for path in PAGES:
        response = page.get(path, headers={"Host": host})
        assert response.status_code == 403
        assert "[api] api_key_file" in response.text
    for path in SCRIPT_ADDRESSES:
        response = page.get(path, headers={"Host": host})
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"


def test_without_a_key_another_computer_does_not_see_the_page(page: Client) -> None:
    # uvicorn takes the address of the client from a proxy on this computer.
    response = page.get("/", headers={"X-Forwarded-For": "192.0.2.7"})

    assert response.status_code == 403


@pytest.mark.parametrize(
    ("client_address", "host", "status"),
    [
        ("172.18.0.1", "localhost:8000", 200),
        ("127.0.0.1", "127.0.0.1:8000", 200),
        ("172.18.0.1", "sensorwatch.example", 403),
        ("8.8.8.8", "localhost:8000", 403),
        ("unknown", "localhost:8000", 403),
    ],
)
def test_a_port_that_is_published_on_loopback_needs_no_key(
    published_page: Client, client_address: str, host: str, status: int
) -> None:
    # uvicorn takes the address of the client from a proxy on this computer.
    headers = {"X-Forwarded-For": client_address, "Host": host}

    assert published_page.get("/lanes", headers=headers).status_code == status


@pytest.fixture(scope="module")
def published_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a service whose container publishes its port on 127.0.0.1."""
    folder = tmp_path_factory.mktemp("published")
    with a_page(folder, published_on_loopback=True) as client:
        yield client


def test_with_a_key_the_page_asks_for_it(page_with_key: Client) -> None:
    for path in PAGES:
        response = page_with_key.get(path)
        assert (response.status_code, response.headers["location"]) == (303, "/login")
    for path in SCRIPT_ADDRESSES:
        assert page_with_key.get(path).status_code == 401
    assert 'type="password"' in page_with_key.get("/login").text


def test_a_wrong_key_starts_no_session(page_with_key: Client) -> None:
    response = log_in(page_with_key, b"wrong")

    assert response.status_code == 403
    assert "key is wrong" in response.text
    assert "set-cookie" not in response.headers


def test_a_long_form_is_refused(page_with_key: Client) -> None:
    assert log_in(page_with_key, b"k" * 5_000).status_code == 413


def test_the_right_key_starts_a_session(page_with_key: Client) -> None:
    response = log_in(page_with_key, KEY)

    assert (response.status_code, response.headers["location"]) == (303, "/")
    cookie = response.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert f"Max-Age={SESSION_SECONDS}" in cookie
    session = cookie.partition(";")[0].partition("=")[2]
    page_with_key.cookies.clear()
    assert page_with_key.get("/", headers={"Cookie": f"{COOKIE_NAME}={session}"}).status_code == 200
    end, _, signature = session.partition(".")
    for forged in (f"{int(end) + 1}.{signature}", f"{end}.{'0' * 64}", f"1.{signature}", "", "é."):
        header = f"{COOKIE_NAME}={forged}".encode()
        assert page_with_key.get("/", headers=[(b"Cookie", header)]).status_code == 303


def test_the_page_of_a_hostile_name_is_escaped(page: Client) -> None:
    page.page.state.add(received(an_alarm(HOSTILE_NAME, sensor=HOSTILE_NAME)))

    response = page.get("/sensor", params={"id": HOSTILE_NAME, "episode": HOSTILE_NAME})
    lanes = page.get("/lanes").json()

    assert response.status_code == 200
    assert "&lt;img" in response.text
    assert "<img" not in response.text
    assert "\\u202e" in lanes["lanes"][0]["sensor"]


def test_an_unknown_sensor_has_no_page(page: Client) -> None:
    response = page.get("/sensor?id=nothing")

    assert response.status_code == 404
    assert "had no alarm" in response.text


def test_the_number_of_browsers_is_limited(page: Client) -> None:
    page.page.streams += MAX_STREAMS

    response = page.get("/events-stream")

    page.page.streams -= MAX_STREAMS
    assert response.status_code == 503
    assert response.headers["retry-after"]


def test_a_stream_continues_after_the_known_revision(page: Client) -> None:
    streams_before = page.page.streams
    with page.stream("GET", "/events-stream") as stream:
        first_event = _next_event(stream.iter_lines())
    known_id = first_event["id"]
    page.page.state.add(received(an_alarm("later", sensor="later")))

    with page.stream("GET", "/events-stream", headers={"Last-Event-ID": known_id}) as stream:
        second_event = _next_event(stream.iter_lines())

    assert '"models"' in first_event["data"]
    assert '"models"' not in second_event["data"]
    assert "later" in second_event["data"]
    wait_until(lambda: page.page.streams == streams_before)


def _next_event(lines: Iterator[str]) -> dict[str, str]:
    """Return the fields of the next event with data."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        fields[name] = value
        if not line and "data" in fields:
            return fields
    raise AssertionError("the stream ended")


def test_the_page_can_be_switched_off(client_without_page: Client) -> None:
    response = client_without_page.get("/")

    assert response.status_code == 200
    assert "switched off" in response.text


@pytest.fixture
def client_without_page(tmp_path: Path) -> Iterator[Client]:
    """Return a client of a service whose page is switched off."""
    with a_page(tmp_path, hours=0) as client:
        yield client
