import threading
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from sensorwatch.api.prediction import Prediction
from sensorwatch.api.prediction import predict as real_predict
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client


@pytest.fixture
def manual_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable polling; the application looks for a new champion only if a test requests it."""
    monkeypatch.setattr("sensorwatch.api.champion_follower.POLL_INTERVAL_SECONDS", 3600)


@pytest.fixture
def fast_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.api.champion_follower.POLL_INTERVAL_SECONDS", 0.02)


def served_version_id(client: Client) -> str:
    return str(apps.post_rows(client, ROW).json()["model_version"])


def test_without_a_model_the_api_is_live_but_not_ready_until_a_model_appears(
    tmp_path: Path, fast_polling: None
) -> None:
    with apps.a_client(tmp_path) as client:
        assert client.get("/livez").status_code == 200
        for path in ("/readyz", "/model"):
            refused_response = client.get(path)
            assert refused_response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert 'model "default"' in apps.problem_details(refused_response)["detail"]
            assert str(tmp_path) not in refused_response.text
        assert apps.post_rows(client, ROW).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        health = client.get("/health").json()
        assert (health["status"], health["model_version"]) == ("no_model", None)

        registry = apps.a_registry(tmp_path)
        apps.wait_until(lambda: client.get("/readyz").status_code == 200)

        assert served_version_id(client) == registry.aliases("default")["champion"]
        assert client.get("/health").json()["status"] == "ok"
        assert apps.metric_value(client, "sensorwatch_model_reload_last_success") == 1


def test_the_api_follows_the_champion_without_a_restart(tmp_path: Path, fast_polling: None) -> None:
    registry = apps.a_registry(tmp_path)
    first_version = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        assert served_version_id(client) == first_version

        second_version = apps.add_version(registry, seed=8)
        apps.wait_until(lambda: served_version_id(client) == second_version)
        assert client.get("/model").json()["id"] == second_version
        assert client.get("/health").json()["model_version"] == second_version

        registry.rollback("default", who="test", why="test")
        apps.wait_until(lambda: served_version_id(client) == first_version)


def test_a_damaged_champion_does_not_replace_the_last_loaded_version(
    tmp_path: Path, manual_polling: None
) -> None:
    registry = apps.a_registry(tmp_path)
    good_version = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        damaged_version = apps.add_version(registry, seed=8)
        arrays_file = tmp_path / "default" / "versions" / damaged_version / "arrays.npz"
        arrays_file.chmod(0o600)
        arrays_file.write_bytes(arrays_file.read_bytes()[:-1] + b"?")

        client.service.follower.check_once()

        assert served_version_id(client) == good_version
        health = client.get("/health").json()
        assert (health["status"], health["model_version"]) == ("degraded", good_version)
        assert client.get("/readyz").status_code == 200
        assert apps.metric_value(client, "sensorwatch_model_reload_last_success") == 0

        registry.rollback("default", who="test", why="test")
        client.service.follower.check_once()

        assert client.get("/health").json()["status"] == "ok"
        assert apps.metric_value(client, "sensorwatch_model_reload_last_success") == 1


class PredictionGate:
    """Blocks every prediction, once it has started, until a test sets `release`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.started, self.release = threading.Event(), threading.Event()
        monkeypatch.setattr("sensorwatch.api.request_formats.predict", self._predict)

    def _predict(self, *args: Any, **kwargs: Any) -> Prediction:
        self.started.set()
        assert self.release.wait(30)
        return real_predict(*args, **kwargs)


class BackgroundRequest:
    """A request to `/predict` that is sent in a thread of its own."""

    def __init__(self, client: Client, *rows: object) -> None:
        self._client, self._rows = client, rows
        self._responses: list[httpx.Response] = []
        self._thread = threading.Thread(target=self._send)
        self._thread.start()

    def _send(self) -> None:
        self._responses.append(apps.post_rows(self._client, *self._rows))

    def wait_for_response(self) -> httpx.Response:
        """Wait for the response and return it."""
        self._thread.join()
        return self._responses[0]


def test_a_request_uses_one_version_even_if_the_champion_changes_meanwhile(
    tmp_path: Path, manual_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = apps.a_registry(tmp_path)
    first_version = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        response_before = apps.post_rows(client, ROW, ANOMALY).json()
        prediction_gate = PredictionGate(monkeypatch)
        pending_request = BackgroundRequest(client, ROW, ANOMALY)
        prediction_gate.started.wait(30)

        second_version = apps.add_version(registry, seed=8)
        client.service.follower.check_once()
        prediction_gate.release.set()

        assert pending_request.wait_for_response().json() == response_before
        assert response_before["model_version"] == first_version
        response_after = apps.post_rows(client, ROW, ANOMALY).json()
        assert response_after["model_version"] == second_version
        assert response_after["rows"][0]["raw_score"] != response_before["rows"][0]["raw_score"]


def test_other_requests_are_answered_while_a_request_is_scored(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    prediction_gate = PredictionGate(monkeypatch)
    pending_request = BackgroundRequest(client, *[ROW] * 1_000)
    prediction_gate.started.wait(30)

    statuses = [client.get(path).status_code for path in ("/livez", "/readyz", "/health")]
    prediction_gate.release.set()

    assert statuses == [200, 200, 200]
    assert pending_request.wait_for_response().status_code == 200


def test_the_api_is_not_live_after_the_champion_follower_failed(
    tmp_path: Path, fast_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("unforeseen")

    with apps.a_client(tmp_path) as client:
        assert client.get("/livez").status_code == 200

        monkeypatch.setattr(client.service.follower, "check_once", fail)
        apps.wait_until(lambda: client.get("/livez").status_code != 200)

        response = client.get("/livez")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        apps.problem_details(response)
