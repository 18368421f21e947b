import json
import socket
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from tests.api import app_builders as apps
from tests.api.app_builders import ROW, Client

MAX_BYTES = 2_000


@pytest.fixture(scope="module")
def limited_client(registry_path: Path) -> Iterator[Client]:
    """An application that takes 3 rows and MAX_BYTES at a time."""
    with apps.a_client(registry_path, max_rows=3, max_bytes=MAX_BYTES) as client:
        yield client


def body_in_chunks(content: bytes, size: int = 100) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def padded_body(size: int) -> bytes:
    return json.dumps({"rows": [ROW]}).encode().ljust(size)


def test_as_many_rows_as_allowed_are_scored_and_one_more_is_refused(limited_client: Client) -> None:
    assert apps.predict(limited_client, *[ROW] * 3).status_code == 200

    refused = apps.predict(limited_client, *[ROW] * 4)

    assert refused.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "4 rows in one request, at most 3" in apps.problem(refused)["detail"]


def test_as_many_bytes_as_allowed_are_read_and_one_more_is_refused(limited_client: Client) -> None:
    fits = limited_client.post("/predict", content=padded_body(MAX_BYTES), headers=apps.JSON)
    refused = limited_client.post("/predict", content=padded_body(MAX_BYTES + 1), headers=apps.JSON)

    assert fits.status_code == 200
    assert refused.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert f"longer than {MAX_BYTES} bytes" in apps.problem(refused)["detail"]


def test_bytes_are_counted_as_they_come_where_no_length_is_declared(limited_client: Client) -> None:
    fits = limited_client.post(
        "/predict", content=body_in_chunks(padded_body(MAX_BYTES)), headers=apps.JSON
    )
    refused = limited_client.post(
        "/predict", content=body_in_chunks(padded_body(10**7), 65_536), headers=apps.JSON
    )

    assert "content-length" not in fits.request.headers
    assert fits.status_code == 200
    assert refused.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    apps.problem(refused)


def test_a_declared_length_is_refused_before_a_byte_of_it_came(limited_client: Client) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"

    with socket.create_connection(
        (limited_client.base_url.host, limited_client.base_url.port or 0)
    ) as connection:
        connection.settimeout(10)
        connection.sendall(head)

        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
def test_a_body_that_is_declared_as_something_else_is_refused(
    client: Client, content_type: str
) -> None:
    headers = {"Content-Type": content_type}

    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert "application/json" in apps.problem(response)["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
        {"Content-Type": "application/vnd.rows+json", "Content-Encoding": "identity"},
    ],
)
def test_the_ways_to_declare_json_are_taken(client: Client, headers: dict[str, str]) -> None:
    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == 200


def test_an_encoded_body_is_refused(client: Client) -> None:
    headers = {**apps.JSON, "Content-Encoding": "gzip"}

    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert "gzip" in apps.problem(response)["detail"]


def test_a_body_that_does_not_come_is_not_waited_for_forever(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.request_body.BODY_SECONDS", 0.05)
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"

    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.settimeout(10)
        connection.sendall(head)

        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_leaves_in_the_middle_does_no_harm(client: Client) -> None:
    head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    line = 'sensorwatch_http_requests_total{handler="/predict",method="POST",status="400"}'

    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.sendall(head)

    apps.wait_until(lambda: line in client.get("/metrics").text)
    assert apps.predict(client, ROW).status_code == 200


def test_too_many_waiting_requests_are_sent_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.service.MAX_QUEUED_REQUESTS", 0)

    response = apps.predict(client, ROW)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["retry-after"] == "1"
    apps.problem(response)
