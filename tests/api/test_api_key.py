from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest

from sensorwatch.api.api_key import read_key
from sensorwatch.common.errors import SettingsError
from tests.api import app_builders as apps
from tests.api.app_builders import ROW, Client

API_KEY = "correct horse \u00e9"


def encoded_headers(headers: dict[str, str]) -> dict[bytes, bytes]:
    return {name.encode(): value.encode() for name, value in headers.items()}


@pytest.fixture(scope="module")
def client_with_key(
    registry_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Client]:
    """Return a client of an application that requires the key API_KEY."""
    key_file = tmp_path_factory.mktemp("key") / "key"
    key_file.write_text(API_KEY + "\n", encoding="utf-8")
    with apps.a_client(registry_path, api_key_file=str(key_file)) as client:
        yield client


@pytest.mark.parametrize(
    "headers",
    [
        {"X-API-Key": API_KEY},
        {"Authorization": f"Bearer {API_KEY}"},
        {"authorization": f"bearer {API_KEY}"},
    ],
)
def test_a_request_with_the_key_is_answered(
    client_with_key: Client, headers: dict[str, str]
) -> None:
    request_headers = encoded_headers(headers)

    assert (
        client_with_key.post("/predict", json={"rows": [ROW]}, headers=request_headers).status_code
        == 200
    )
    assert client_with_key.get("/model", headers=request_headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-API-Key": ""},
        {"X-API-Key": "wrong"},
        {"X-API-Key": API_KEY[:-2]},
        {"Authorization": API_KEY},
        {"Authorization": f"Basic {API_KEY}"},
        {"Authorization": "Bearer"},
    ],
)
def test_a_request_without_the_key_is_a_problem(
    client_with_key: Client, headers: dict[str, str]
) -> None:
    request_headers = encoded_headers(headers)

    for response in (
        client_with_key.post("/predict", json={"rows": [ROW]}, headers=request_headers),
        client_with_key.get("/model", headers=request_headers),
        client_with_key.get("/v2/models/default", headers=request_headers),
        client_with_key.post("/v2/models/default/infer", content=b"", headers=request_headers),
    ):
        assert response.status_code == HTTPStatus.UNAUTHORIZED
        assert response.headers["www-authenticate"].startswith("Bearer")
        apps.problem_details(response)


@pytest.mark.parametrize(
    "path", ["/health", "/livez", "/readyz", "/metrics", "/docs", "/v2/models/default/ready"]
)
def test_probes_and_metrics_need_no_key(client_with_key: Client, path: str) -> None:
    assert client_with_key.get(path).status_code == 200


def test_the_openapi_document_shows_the_schema_only_with_the_key(client_with_key: Client) -> None:
    assert "maximum" not in client_with_key.get("/openapi.json").text.split('"schemas"')[0]
    response = client_with_key.get("/openapi.json", headers=encoded_headers({"X-API-Key": API_KEY}))
    assert '"x1"' in response.text
    assert response.json()["paths"]["/predict"]["post"]["security"]


def test_the_error_names_a_key_file_that_cannot_be_used(tmp_path: Path) -> None:
    empty_file = tmp_path / "empty"
    empty_file.write_text(" \n")

    for path in (empty_file, tmp_path / "missing", tmp_path):
        with pytest.raises(SettingsError, match=rf"api_key_file names {path}, which"):
            read_key(str(path))


def test_without_a_key_file_no_key_is_required() -> None:
    assert read_key("") is None
