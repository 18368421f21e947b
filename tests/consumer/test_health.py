"""The health server answers requests for checks and metrics, and its errors are reported."""

import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from sensorwatch.common.errors import SettingsError
from sensorwatch.consumer.health import HealthServer, Heartbeat, serve_health


class CheckResults:
    """The results of the liveness and readiness checks; None means that a check passes."""

    not_live_reason: str | None = None
    not_ready_reason: str | None = None


@pytest.fixture
def check_results() -> CheckResults:
    """Return results with which both checks pass."""
    return CheckResults()


@pytest.fixture
def server(check_results: CheckResults) -> Iterator[HealthServer]:
    """Run a health server on a free port."""
    registry = CollectorRegistry()
    Counter("events", "Events.", registry=registry).inc(3)
    server = serve_health(
        "127.0.0.1",
        0,
        registry=registry,
        live=lambda: check_results.not_live_reason,
        ready=lambda: check_results.not_ready_reason,
    )
    yield server
    server.close()


def send_request(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str]:
    """Send a request; return status and body."""
    request = urllib.request.Request(server.address + path, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def test_a_check_answers_200_or_503_with_the_reason(
    server: HealthServer, check_results: CheckResults
) -> None:
    assert send_request(server, "/livez") == send_request(server, "/readyz") == (200, "ok\n")

    check_results.not_ready_reason = "no model is loaded"

    assert send_request(server, "/readyz") == (503, "no model is loaded\n")
    assert send_request(server, "/livez") == (200, "ok\n")


def test_metrics_are_served_and_an_unknown_path_is_not_found(server: HealthServer) -> None:
    status, body = send_request(server, "/metrics?name[]=x")
    assert status == 200
    assert "events_total 3.0" in body
    assert send_request(server, "/metrics", "HEAD") == (200, "")
    assert send_request(server, "/secret")[0] == 404


def test_a_check_that_raises_does_not_end_the_server() -> None:
    def failing_check() -> str | None:
        raise RuntimeError("bug")

    server = serve_health(
        "127.0.0.1", 0, registry=CollectorRegistry(), live=failing_check, ready=lambda: None
    )
    try:
        with pytest.raises(OSError, match="closed connection"):
            send_request(server, "/livez")
        assert send_request(server, "/readyz")[0] == 200
    finally:
        server.close()


def test_a_port_in_use_is_an_error_that_names_the_setting_and_close_frees_the_port(
    server: HealthServer,
) -> None:
    def serve_on_same_port() -> HealthServer:
        return serve_health(
            "127.0.0.1",
            server.port,
            registry=CollectorRegistry(),
            live=lambda: None,
            ready=lambda: None,
        )

    with pytest.raises(SettingsError) as error_info:
        serve_on_same_port()
    assert f"127.0.0.1:{server.port}: Address already in use" in str(error_info.value)
    assert "[consumer] http_port" in str(error_info.value)

    server.close()
    serve_on_same_port().close()


def test_a_loop_without_a_beat_is_stuck() -> None:
    now = 100.0
    heartbeat = Heartbeat(lambda: now, limit_seconds=10)

    now = 110.0
    assert heartbeat.stuck_reason() is None
    now = 110.5
    assert heartbeat.stuck_reason() == "the loop is stuck: no beat for 10.5 s, the limit is 10 s"
    heartbeat.beat()
    assert heartbeat.stuck_reason() is None
