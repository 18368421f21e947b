from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client


@pytest.fixture
def unused_client(registry_path: Path) -> Iterator[Client]:
    """Return a client of a new application that has not received any request."""
    with apps.a_client(registry_path) as client:
        yield client


def metric_value(client: Client, name: str) -> float:
    return apps.metric_value(client, f"sensorwatch_{name}")


def request_count_series(status: int, *, handler: str = "/predict", method: str = "POST") -> str:
    labels = f'handler="{handler}",method="{method}",status="{status}"'
    return f"http_requests_total{{{labels}}}"


def test_metrics_with_known_labels_start_at_zero(unused_client: Client) -> None:
    assert metric_value(unused_client, request_count_series(200)) == 0
    assert metric_value(unused_client, "rows_scored_total") == 0
    assert metric_value(unused_client, 'anomalies_total{severity="critical"}') == 0
    assert metric_value(unused_client, 'rows_rejected_total{reason="not_json"}') == 0
    assert metric_value(unused_client, "anomaly_ratio") == 0


def test_rows_are_counted_by_outcome(unused_client: Client) -> None:
    severity = apps.post_rows(unused_client, ROW, ROW, ROW, ANOMALY).json()["rows"][3]["severity"]
    apps.post_rows(unused_client, ROW, {}, query="?on_error=skip")
    apps.post_rows(unused_client, ROW, {})

    assert metric_value(unused_client, "rows_scored_total") == 5
    assert metric_value(unused_client, f'anomalies_total{{severity="{severity}"}}') == 1
    assert metric_value(unused_client, "anomaly_ratio") == pytest.approx(1 / 5)
    assert metric_value(unused_client, "anomaly_score_count") == 5
    assert metric_value(unused_client, 'anomaly_score_bucket{le="1.0"}') == 4
    assert metric_value(unused_client, 'rows_rejected_total{reason="missing_field"}') == 2


def test_requests_are_counted_by_route_and_status(unused_client: Client) -> None:
    apps.post_rows(unused_client, ROW)
    apps.post_rows(unused_client)
    apps.post_rows(unused_client, ROW, query="?on_error=x")
    unused_client.get("/predict")
    unused_client.get("/not/there")
    unused_client.request("BREW", "/health")

    assert metric_value(unused_client, request_count_series(200)) == 1
    assert metric_value(unused_client, request_count_series(422)) == 2
    assert metric_value(unused_client, request_count_series(405, method="GET")) == 1
    assert (
        metric_value(unused_client, request_count_series(404, handler="unmatched", method="GET"))
        == 1
    )
    assert (
        metric_value(unused_client, request_count_series(405, handler="/health", method="other"))
        == 1
    )
    duration = 'http_request_duration_seconds_count{handler="/predict",method="POST"}'
    assert metric_value(unused_client, duration) == 3


def test_an_internal_error_is_counted_with_status_500(
    unused_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("sensorwatch.api.request_formats.predict", fail)

    apps.post_rows(unused_client, ROW)

    assert metric_value(unused_client, request_count_series(500)) == 1


def test_metrics_name_the_served_model_version(unused_client: Client) -> None:
    manifest = unused_client.get("/model").json()

    labels = f'schema="{manifest["schema_fingerprint"]}",version="{manifest["id"]}"'
    assert metric_value(unused_client, f'model_info{{model="default",{labels}}}') == 1
    assert metric_value(unused_client, "model_reload_last_success") == 1
    assert metric_value(unused_client, "model_loaded_timestamp_seconds") > 1.6e9


def test_the_accept_header_selects_the_format_of_metrics(unused_client: Client) -> None:
    headers = {"Accept": "application/openmetrics-text; version=1.0.0"}

    response = unused_client.get("/metrics", headers=headers)

    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz", "/metrics", "/model"])
def test_probes_may_use_the_method_head(client: Client, path: str) -> None:
    response = client.head(path)

    assert response.status_code == 200
    assert response.content == b""
