import json
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import predict
from sensorwatch.common.scoring.processing import process
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.reading_builders import a_detector

ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.datetimes().map(lambda instant: instant.isoformat() + "Z"),
            "sensor_id": st.text("ab", min_size=1, max_size=2),
            **{name: st.floats(-1000, 1000) for name in ("x1", "x2", "x3")},
        }
    ),
    min_size=1,
    max_size=20,
)


def test_the_documented_request_is_scored(client: Client) -> None:
    body = '{"rows":[{"timestamp":"2025-01-01T00:00:00","x1":0.1,"x2":0.2,"x3":0.3}]}'

    response = client.post("/predict", content=body, headers=apps.JSON_HEADERS)

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    response_body = response.json()
    assert response_body["model_version"].startswith("default-0001-")
    assert (response_body["scored"], response_body["anomalies"], response_body["rejected"]) == (
        1,
        0,
        0,
    )
    [row] = response_body["rows"]
    assert row["index"] == 0
    assert row["sensor_id"] == "default"
    assert row["event_time"] == "2025-01-01T00:00:00Z"
    assert row["severity"] == "none"
    assert row["is_anomaly"] is False
    assert row["anomaly_score"] <= 1.0
    assert "signals" not in row


def test_an_anomalous_row_lists_its_signals_with_their_expected_range(client: Client) -> None:
    response = apps.post_rows(client, ROW, ANOMALY)

    normal_row, anomalous_row = response.json()["rows"]
    assert response.json()["anomalies"] == 1
    assert "signals" not in normal_row
    assert anomalous_row["is_anomaly"] is True
    assert anomalous_row["anomaly_score"] > 1.0
    assert anomalous_row["severity"] in ("warning", "major", "critical")
    assert anomalous_row["suppressed"] == normal_row["suppressed"] == "none"
    assert sorted(signal["name"] for signal in anomalous_row["signals"]) == ["x1", "x2", "x3"]
    attributions = [signal["attribution"] for signal in anomalous_row["signals"]]
    assert attributions == sorted(attributions, reverse=True)
    assert abs(sum(attributions) - 1.0) <= 1e-9
    for signal in anomalous_row["signals"]:
        assert signal["actual"] == 9.0
        assert signal["direction"] == "high"
        assert signal["held"] is False
        assert signal["expected_low"] < signal["expected"] < signal["expected_high"] < 9.0


def test_signals_all_lists_the_signals_of_every_row(client: Client) -> None:
    response = apps.post_rows(client, ROW, ANOMALY, query="?signals=all")

    directions = [
        [signal["direction"] for signal in row["signals"]] for row in response.json()["rows"]
    ]
    assert directions == [["within"] * 3, ["high"] * 3]


def test_many_rows_keep_their_order(client: Client) -> None:
    rows = [{**ROW, "sensor_id": str(number)} for number in range(1203)]
    rows[1100] |= ANOMALY

    response_body = apps.post_rows(client, *rows).json()

    assert response_body["scored"] == 1203
    assert [row["index"] for row in response_body["rows"]] == list(range(1203))
    assert [row["sensor_id"] for row in response_body["rows"]] == [str(n) for n in range(1203)]
    assert [row["index"] for row in response_body["rows"] if row["is_anomaly"]] == [1100]


@settings(max_examples=25, deadline=None)
@given(ROWS)
def test_api_and_consumer_compute_bit_identical_scores(rows: list[dict[str, object]]) -> None:
    detector = a_detector()
    payloads = [json.dumps(row).encode() for row in rows]
    outcome = process(payloads, detector, detector.empty_memory())

    prediction = predict(
        json.dumps({"rows": rows}).encode(), detector, received=2**60, max_rows=100
    )
    response_body = json.loads(
        encode_response(prediction, detector, on_error=OnError.REJECT, signals=Signals.ALL)
    )

    for name in ("raw_score", "anomaly_score", "p_value"):
        api_scores = np.asarray([row[name] for row in response_body["rows"]])
        expected = getattr(outcome.detections, name)
        assert api_scores.view(np.uint64).tolist() == expected.view(np.uint64).tolist()
    assert [
        row["is_anomaly"] for row in response_body["rows"]
    ] == outcome.detections.is_anomaly.tolist()
    assert all(math.isfinite(row["raw_score"]) for row in response_body["rows"])
