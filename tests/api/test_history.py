"""The history rows of a request affect the statuses and episodes of its scored rows.

The API, the consumer and the backtest compute bit-identical scores from the same rows.
"""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import predict
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.field_declarations import MissingPolicy, NumericColumn
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.common.scoring.status import STATUSES
from sensorwatch.trainer.backtest import score_records
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector, a_schema
from tests.scoring.detectors import DETECTORS

SIGNAL_NAMES = ("x1", "x2", "x3")


def row_at(minute: int, template: dict[str, Any] = ROW, **changes: object) -> dict[str, Any]:
    return {**template, "timestamp": f"2025-01-01T00:{minute:02}:00", **changes}


def post_with_history(
    client: Client, history: list[Any], rows: list[Any], query: str = ""
) -> httpx.Response:
    return client.post(f"/predict{query}", json={"history": history, "rows": rows})


def test_every_row_has_its_status_and_the_index_of_its_episode_start(client: Client) -> None:
    rows = [
        row_at(0),
        row_at(1, ANOMALY),
        row_at(2, ANOMALY),
        row_at(2, ANOMALY),
        row_at(1),
        row_at(3),
        row_at(4, ANOMALY),
    ]

    response_body = apps.post_rows(client, *rows).json()["rows"]

    assert [row["status"] for row in response_body] == [
        *("scored", "scored", "scored", "duplicate", "late", "scored", "scored"),
    ]
    assert [row["episode_start"] for row in response_body] == [None, 1, 1, 3, None, None, 6]


def test_an_episode_that_began_in_the_history_has_a_negative_start_index(client: Client) -> None:
    history = [row_at(0), row_at(1, ANOMALY), row_at(2, ANOMALY)]

    response_body = post_with_history(
        client, history, [row_at(3, ANOMALY), row_at(4), row_at(2)]
    ).json()

    assert (response_body["scored"], response_body["anomalies"]) == (3, 1)
    rows = response_body["rows"]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["episode_start"] for row in rows] == [-2, None, None]
    assert rows[2]["status"] == "late"


def test_a_long_history_is_scored_before_the_first_row(client: Client) -> None:
    history = [row_at(n % 60, sensor_id=str(n)) for n in range(1203)]
    rows = [row_at(59, ANOMALY, sensor_id=str(n)) for n in range(602)]

    response_body = post_with_history(client, history, rows).json()

    assert [row["index"] for row in response_body["rows"]] == list(range(602))
    assert [row["episode_start"] for row in response_body["rows"]] == list(range(602))
    assert response_body["rows"][59]["status"] == "duplicate"


@pytest.mark.parametrize("query", ["", "?on_error=skip"])
def test_a_bad_row_of_the_history_is_a_problem_even_with_on_error_skip(
    client: Client, query: str
) -> None:
    history = [row_at(0), row_at(1, x2="high"), 5]

    response = post_with_history(client, history, [row_at(3)], query)

    assert response.status_code == 422
    assert apps.error_pointers(response) == [
        ("#/history/1/x2", "wrong_type"),
        ("#/history/2", "not_object"),
    ]
    problem = apps.problem_details(response)
    assert [error["index"] for error in problem["errors"]] == [1, 2]
    assert "2 of 4 rows cannot be scored" in problem["detail"]
    assert "never skipped" in problem["detail"]


def test_faults_of_the_history_and_of_the_rows_are_listed_together(client: Client) -> None:
    response = post_with_history(client, [row_at(0, x1="a")], [row_at(1), row_at(2, x3=None)])

    assert apps.error_pointers(response) == [
        ("#/history/0/x1", "wrong_type"),
        ("#/rows/1/x3", "null_value"),
    ]


def test_a_skipped_row_after_a_history_has_its_own_index(client: Client) -> None:
    response_body = post_with_history(
        client, [row_at(0)], [row_at(1), row_at(2, x3=None)], "?on_error=skip"
    ).json()

    good_row, bad_row = response_body["rows"]
    assert (good_row["index"], bad_row["index"]) == (0, 1)
    assert bad_row["errors"][0]["pointer"] == "#/rows/1/x3"


def test_a_history_needs_rows_and_must_be_a_list(client: Client) -> None:
    assert apps.error_pointers(post_with_history(client, [row_at(0)], [])) == [("#/rows", None)]
    assert apps.error_pointers(client.post("/predict", json={"history": 5, "rows": [ROW]})) == [
        ("#", None)
    ]


def test_the_maximum_of_rows_includes_the_history(registry_path: Path) -> None:
    with apps.a_client(registry_path, max_rows=3) as client:
        accepted_response = post_with_history(client, [row_at(0), row_at(1)], [row_at(2)])
        refusal = post_with_history(client, [row_at(0), row_at(1)], [row_at(2), row_at(3)])

    assert accepted_response.status_code == 200
    assert refusal.status_code == 413
    assert "4 rows in one request, 2 of them history, at most 3" in refusal.json()["detail"]


def test_the_openapi_document_describes_requests_with_a_history_and_their_answers(
    client: Client,
) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    request_validator = jsonschema.Draft202012Validator(body["schema"])
    answer_schema = {
        "$ref": "#/components/schemas/PredictAnswer",
        "components": document["components"],
    }

    assert request_validator.is_valid({"history": [], "rows": [ROW]})
    assert request_validator.is_valid({"history": [ROW], "rows": [ROW]})
    assert not request_validator.is_valid({"history": [{**ROW, "x1": "1"}], "rows": [ROW]})
    answer = post_with_history(client, [row_at(0, ANOMALY)], [row_at(1, ANOMALY), row_at(2)]).json()
    jsonschema.Draft202012Validator(answer_schema).validate(answer)


def test_the_counters_leave_out_history_rows(registry_path: Path) -> None:
    with apps.a_client(registry_path) as client:
        post_with_history(client, [row_at(0, ANOMALY), row_at(1)], [row_at(2)])

        assert apps.metric_value(client, "sensorwatch_rows_scored_total") == 1


def detector_with_held_values() -> Detector:
    """Return a detector that replaces a missing x2 with the sensor's previous x2."""
    signals = (
        NumericColumn(name="x1"),
        NumericColumn(name="x2", missing=MissingPolicy.HOLD_LAST),
        NumericColumn(name="x3"),
    )
    schema = a_schema().model_copy(update={"signals": signals})
    return replace(a_detector(), schema=schema)


VALUES = st.floats(-5, 5) | st.sampled_from(ANOMALOUS_VALUES + NORMAL_VALUES)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.integers(0, 59).map(lambda minute: row_at(minute)["timestamp"] + "Z"),
            "sensor_id": st.sampled_from(["s0", "s1", "new"]),
            **dict.fromkeys(SIGNAL_NAMES, VALUES),
            "x2": st.none() | VALUES,
        }
    ),
    min_size=1,
    max_size=25,
)


def backtest_outcomes(rows: list[dict[str, Any]], detector: Detector, path: Path) -> list[Outcome]:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["timestamp", "sensor_id", *SIGNAL_NAMES])
        writer.writeheader()
        writer.writerows(rows)
    records = read_rows(path, detector.schema)
    return list(score_records(records, detector, detector.empty_memory(), first_row=0, max_rows=4))


def score_bits_and_status(outcomes: list[Outcome], history: int) -> list[tuple[object, ...]]:
    """Return the answer of /predict for each row after the history, with exact scores."""
    descriptions: list[tuple[object, ...]] = []
    for outcome in outcomes:
        detections = outcome.detections
        scores = (detections.raw_score, detections.anomaly_score, detections.p_value)
        starts = np.where(detections.is_anomaly, detections.episode - history, -1_000)
        descriptions += zip(
            *(score.view(np.uint64).tolist() for score in scores),
            [str(STATUSES[status]) for status in detections.status],
            starts.tolist(),
            strict=True,
        )
    return descriptions[history:]


@pytest.mark.parametrize("detector_kind", DETECTORS)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_api_consumer_and_backtest_compute_bit_identical_scores(
    detector_kind: str,
    rows: list[dict[str, Any]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    detector = (
        detector_with_held_values() if detector_kind == "plain" else DETECTORS[detector_kind]()
    )
    history = data.draw(st.integers(0, len(rows) - 1))
    body = json.dumps({"history": rows[:history], "rows": rows[history:]}).encode()
    consumer_outcome = process(
        [json.dumps(row).encode() for row in rows], detector, detector.empty_memory()
    )

    prediction = predict(body, detector, received=2**60, max_rows=25)
    content = encode_response(prediction, detector, on_error=OnError.REJECT, signals=Signals.ALL)
    api_scores = [
        (
            *(
                int(np.float64(row[name]).view(np.uint64))
                for name in ("raw_score", "anomaly_score", "p_value")
            ),
            row["status"],
            row["episode_start"] if row["is_anomaly"] else -1_000,
        )
        for row in json.loads(content)["rows"]
    ]
    path = tmp_path_factory.mktemp("rows") / "rows.csv"

    assert consumer_outcome.rejections == []
    assert api_scores == score_bits_and_status([consumer_outcome], history)
    assert score_bits_and_status(
        backtest_outcomes(rows, detector, path), history
    ) == score_bits_and_status([consumer_outcome], history)
