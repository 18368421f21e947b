from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client


@pytest.fixture
def fresh(registry_path: Path) -> Iterator[Client]:
    """An application that nobody asked for anything yet."""
    with apps.a_client(registry_path) as client:
        yield client


def counted(client: Client, name: str) -> float:
    return apps.metric(client, f"sensorwatch_{name}")


def requests(status: int, *, handler: str = "/predict", method: str = "POST") -> str:
    labels = f'handler="{handler}",method="{method}",status="{status}"'
    return f"http_requests_total{{{labels}}}"


def test_known_label_sets_start_at_zero(fresh: Client) -> None:
    assert counted(fresh, requests(200)) == 0
    assert counted(fresh, "rows_scored_total") == 0
    assert counted(fresh, 'anomalies_total{severity="critical"}') == 0
    assert counted(fresh, 'rows_rejected_total{reason="not_json"}') == 0
    assert counted(fresh, "anomaly_ratio") == 0


def test_rows_are_counted_by_what_became_of_them(fresh: Client) -> None:
    severity = apps.predict(fresh, ROW, ROW, ROW, ANOMALY).json()["rows"][3]["severity"]
    apps.predict(fresh, ROW, {}, query="?on_error=skip")
    apps.predict(fresh, ROW, {})

    assert counted(fresh, "rows_scored_total") == 5
    assert counted(fresh, f'anomalies_total{{severity="{severity}"}}') == 1
    assert counted(fresh, "anomaly_ratio") == pytest.approx(1 / 5)
    assert counted(fresh, "anomaly_score_count") == 5
    assert counted(fresh, 'anomaly_score_bucket{le="1.0"}') == 4
    assert counted(fresh, 'rows_rejected_total{reason="missing_field"}') == 2


def test_requests_are_counted_by_route_and_status(fresh: Client) -> None:
    apps.predict(fresh, ROW)
    apps.predict(fresh)
    apps.predict(fresh, ROW, query="?on_error=x")
    fresh.get("/predict")
    fresh.get("/not/there")
    fresh.request("BREW", "/health")

    assert counted(fresh, requests(200)) == 1
    assert counted(fresh, requests(422)) == 2
    assert counted(fresh, requests(405, method="GET")) == 1
    assert counted(fresh, requests(404, handler="unmatched", method="GET")) == 1
    assert counted(fresh, requests(405, handler="/health", method="other")) == 1
    duration = 'http_request_duration_seconds_count{handler="/predict",method="POST"}'
    assert counted(fresh, duration) == 3


def test_a_failure_of_ours_is_counted_as_one(
    fresh: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("sensorwatch.api.request_formats.predict", fail)

    apps.predict(fresh, ROW)

    assert counted(fresh, requests(500)) == 1


def test_the_model_in_force_is_told(fresh: Client) -> None:
    manifest = fresh.get("/model").json()

    labels = f'schema="{manifest["schema_fingerprint"]}",version="{manifest["id"]}"'
    assert counted(fresh, f'model_info{{model="default",{labels}}}') == 1
    assert counted(fresh, "model_reload_last_success") == 1
    assert counted(fresh, "model_loaded_timestamp_seconds") > 1.6e9


def test_the_format_is_negotiated(fresh: Client) -> None:
    wanted = {"Accept": "application/openmetrics-text; version=1.0.0"}

    response = fresh.get("/metrics", headers=wanted)

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/model"])
def test_probes_may_ask_with_head(client: Client, path: str) -> None:
    response = client.head(path)

    assert response.status_code == 200
    assert response.content == b""
