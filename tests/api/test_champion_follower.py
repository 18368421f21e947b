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
    """The champion is looked for only where a test says so."""
    monkeypatch.setattr("sensorwatch.api.champion_follower.POLL_INTERVAL_SECONDS", 3600)


@pytest.fixture
def fast_polling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.api.champion_follower.POLL_INTERVAL_SECONDS", 0.02)


def served_version_id(client: Client) -> str:
    return str(apps.predict(client, ROW).json()["model_version"])


def test_without_a_model_it_lives_is_not_ready_and_picks_one_up(
    tmp_path: Path, fast_polling: None
) -> None:
    with apps.a_client(tmp_path) as client:
        assert client.get("/livez").status_code == 200
        for path in ("/readyz", "/model"):
            refused = client.get(path)
            assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
            assert 'model "default"' in apps.problem(refused)["detail"]
            assert str(tmp_path) not in refused.text
        assert apps.predict(client, ROW).status_code == HTTPStatus.SERVICE_UNAVAILABLE
        health = client.get("/health").json()
        assert (health["status"], health["model_version"]) == ("no_model", None)

        registry = apps.a_registry(tmp_path)
        apps.wait_until(lambda: client.get("/readyz").status_code == 200)

        assert served_version_id(client) == registry.aliases("default")["champion"]
        assert client.get("/health").json()["status"] == "ok"
        assert apps.metric(client, "sensorwatch_model_reload_last_success") == 1


def test_it_follows_the_champion_without_a_restart(tmp_path: Path, fast_polling: None) -> None:
    registry = apps.a_registry(tmp_path)
    first = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        assert served_version_id(client) == first

        second = apps.add_version(registry, seed=8)
        apps.wait_until(lambda: served_version_id(client) == second)
        assert client.get("/model").json()["id"] == second
        assert client.get("/health").json()["model_version"] == second

        registry.rollback("default", who="test", why="test")
        apps.wait_until(lambda: served_version_id(client) == first)


def test_a_damaged_champion_never_replaces_the_last_good_one(
    tmp_path: Path, manual_polling: None
) -> None:
    registry = apps.a_registry(tmp_path)
    good = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        bad = apps.add_version(registry, seed=8)
        arrays = tmp_path / "default" / "versions" / bad / "arrays.npz"
        arrays.chmod(0o600)
        arrays.write_bytes(arrays.read_bytes()[:-1] + b"?")

        client.service.follower.look()

        assert served_version_id(client) == good
        health = client.get("/health").json()
        assert (health["status"], health["model_version"]) == ("degraded", good)
        assert client.get("/readyz").status_code == 200
        assert apps.metric(client, "sensorwatch_model_reload_last_success") == 0

        registry.rollback("default", who="test", why="test")
        client.service.follower.look()

        assert client.get("/health").json()["status"] == "ok"
        assert apps.metric(client, "sensorwatch_model_reload_last_success") == 1


class PredictionGate:
    """Holds every prediction between its start and its scores."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached, self.opened = threading.Event(), threading.Event()
        monkeypatch.setattr("sensorwatch.api.request_formats.predict", self._predict)

    def _predict(self, *args: Any, **kwargs: Any) -> Prediction:
        self.reached.set()
        assert self.opened.wait(30)
        return real_predict(*args, **kwargs)


class BackgroundRequest:
    """A request on a thread of its own."""

    def __init__(self, client: Client, *rows: object) -> None:
        self._client, self._rows = client, rows
        self._answers: list[httpx.Response] = []
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        self._answers.append(apps.predict(self._client, *self._rows))

    def answer(self) -> httpx.Response:
        """Wait for the answer."""
        self._thread.join()
        return self._answers[0]


def test_a_request_sees_one_version_though_the_champion_moves_meanwhile(
    tmp_path: Path, manual_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = apps.a_registry(tmp_path)
    first = registry.aliases("default")["champion"]
    with apps.a_client(tmp_path) as client:
        before = apps.predict(client, ROW, ANOMALY).json()
        gate = PredictionGate(monkeypatch)
        asking = BackgroundRequest(client, ROW, ANOMALY)
        gate.reached.wait(30)

        second = apps.add_version(registry, seed=8)
        client.service.follower.look()
        gate.opened.set()

        assert asking.answer().json() == before
        assert before["model_version"] == first
        after = apps.predict(client, ROW, ANOMALY).json()
        assert after["model_version"] == second
        assert after["rows"][0]["raw_score"] != before["rows"][0]["raw_score"]


def test_other_requests_are_answered_while_one_is_scored(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = PredictionGate(monkeypatch)
    asking = BackgroundRequest(client, *[ROW] * 1_000)
    gate.reached.wait(30)

    statuses = [client.get(path).status_code for path in ("/livez", "/readyz", "/health")]
    gate.opened.set()

    assert statuses == [200, 200, 200]
    assert asking.answer().status_code == 200


def test_it_is_not_live_once_it_follows_nobody(
    tmp_path: Path, fast_polling: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("unforeseen")

    with apps.a_client(tmp_path) as client:
        assert client.get("/livez").status_code == 200

        monkeypatch.setattr(client.service.follower, "look", fail)
        apps.wait_until(lambda: client.get("/livez").status_code != 200)

        response = client.get("/livez")
        assert response.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        apps.problem(response)
