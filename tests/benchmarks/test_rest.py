"""Tests of the HTTP load generator and of the tutorial server that it measures."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import joblib
import pytest
import uvicorn
from sklearn.ensemble import IsolationForest

from benchmarks.speed.http_load_generator import measure_load
from benchmarks.speed.tutorial_server import create_app
from sensorwatch.api.serve_command import open_listener
from sensorwatch.common.model.plan import plain_plan
from sensorwatch.common.scoring.features import compute_features
from tests.reading_builders import a_schema, some_readings

ROW = {"timestamp": "2025-01-01T00:00:00Z", "x1": 0.1, "x2": 0.2, "x3": 0.3}


@contextmanager
def plain_server(folder: Path) -> Iterator[int]:
    """Run the tutorial server with a small forest in a thread; yield its port."""
    matrix = compute_features(some_readings(), plain_plan(a_schema()))
    joblib.dump(IsolationForest(n_estimators=5, random_state=0).fit(matrix), folder / "forest")
    app = create_app(str(folder / "forest"))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    listener = open_listener("127.0.0.1", 0)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.005)
        yield int(listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


def test_load_measures_requests_and_the_probe(tmp_path: Path) -> None:
    body = json.dumps({"rows": [ROW] * 3}).encode()

    with plain_server(tmp_path) as port:
        response_times = measure_load(port, [body, body], 0.2)

    assert response_times["rows"]
    assert response_times["probe"]
    assert all(seconds > 0 for seconds in response_times["rows"])


def test_a_failed_response_is_an_error(tmp_path: Path) -> None:
    with plain_server(tmp_path) as port, pytest.raises(ConnectionError, match="422"):
        measure_load(port, [b'{"rows": [{}]}'], 0.2)
