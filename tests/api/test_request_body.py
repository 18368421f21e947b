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
    """Return a client of an application with a limit of 3 rows and MAX_BYTES bytes per request."""
    with apps.a_client(registry_path, max_rows=3, max_bytes=MAX_BYTES) as client:
        yield client


def body_in_chunks(content: bytes, size: int = 100) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def padded_body(size: int) -> bytes:
    return json.dumps({"rows": [ROW]}).encode().ljust(size)


def test_the_maximum_of_rows_is_scored_and_one_more_row_is_refused(limited_client: Client) -> None:
    assert apps.post_rows(limited_client, *[ROW] * 3).status_code == 200

    refusal = apps.post_rows(limited_client, *[ROW] * 4)

    assert refusal.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert "4 rows in one request, at most 3" in apps.problem_details(refusal)["detail"]


def test_the_maximum_of_bytes_is_read_and_one_more_byte_is_refused(limited_client: Client) -> None:
    accepted_response = limited_client.post(
        "/predict", content=padded_body(MAX_BYTES), headers=apps.JSON_HEADERS
    )
    refusal = limited_client.post(
        "/predict", content=padded_body(MAX_BYTES + 1), headers=apps.JSON_HEADERS
    )

    assert accepted_response.status_code == 200
    assert refusal.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    assert f"longer than {MAX_BYTES} bytes" in apps.problem_details(refusal)["detail"]


def test_a_body_without_a_declared_length_is_limited_while_it_is_read(
    limited_client: Client,
) -> None:
    accepted_response = limited_client.post(
        "/predict", content=body_in_chunks(padded_body(MAX_BYTES)), headers=apps.JSON_HEADERS
    )
    refusal = limited_client.post(
        "/predict", content=body_in_chunks(padded_body(10**7), 65_536), headers=apps.JSON_HEADERS
    )

    assert "content-length" not in accepted_response.request.headers
    assert accepted_response.status_code == 200
    assert refusal.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    apps.problem_details(refusal)


def test_a_declared_length_that_is_too_large_is_refused_before_the_body_arrives(
    limited_client: Client,
) -> None:
    request_head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n"

    with socket.create_connection(
        (limited_client.base_url.host, limited_client.base_url.port or 0)
    ) as connection:
        connection.settimeout(10)
        connection.sendall(request_head)

        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""]
)
def test_a_body_with_another_content_type_than_json_is_refused(
    client: Client, content_type: str
) -> None:
    headers = {"Content-Type": content_type}

    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert "application/json" in apps.problem_details(response)["detail"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Content-Type": "application/json; charset=utf-8"},
        {"Content-Type": "Application/JSON"},
        {"Content-Type": "application/vnd.rows+json", "Content-Encoding": "identity"},
    ],
)
def test_all_content_types_for_json_are_accepted(client: Client, headers: dict[str, str]) -> None:
    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == 200


def test_an_encoded_body_is_refused(client: Client) -> None:
    headers = {**apps.JSON_HEADERS, "Content-Encoding": "gzip"}

    response = client.post("/predict", content=padded_body(200), headers=headers)

    assert response.status_code == HTTPStatus.UNSUPPORTED_MEDIA_TYPE
    assert "gzip" in apps.problem_details(response)["detail"]


def test_a_request_times_out_if_its_body_does_not_arrive(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.request_body.BODY_TIMEOUT_SECONDS", 0.05)
    request_head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"

    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.settimeout(10)
        connection.sendall(request_head)

        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


def test_a_client_that_disconnects_within_a_body_does_not_affect_other_requests(
    client: Client,
) -> None:
    request_head = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"
    series = 'sensorwatch_http_requests_total{handler="/predict",method="POST",status="400"}'

    with socket.create_connection((client.base_url.host, client.base_url.port or 0)) as connection:
        connection.sendall(request_head)

    apps.wait_until(lambda: series in client.get("/metrics").text)
    assert apps.post_rows(client, ROW).status_code == 200


def test_a_request_is_refused_if_too_many_requests_wait(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.service.MAX_QUEUED_REQUESTS", 0)

    response = apps.post_rows(client, ROW)

    assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert response.headers["retry-after"] == "1"
    apps.problem_details(response)
