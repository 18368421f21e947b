"""Rows before the rows: what they change, and that every way to score gives the same bits."""

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
from sensorwatch.common.rows.schema import MissingPolicy, NumericColumn
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.common.scoring.status import STATUSES
from sensorwatch.common.tables import read_rows
from sensorwatch.trainer.backtest import score_on
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.reading_builders import ANOMALOUS, NORMAL, a_detector, a_schema
from tests.scoring.detectors import DETECTORS

NAMES = ("x1", "x2", "x3")


def row_at(minute: int, row: dict[str, Any] = ROW, **changes: object) -> dict[str, Any]:
    return {**row, "timestamp": f"2025-01-01T00:{minute:02}:00", **changes}


def ask(client: Client, history: list[Any], rows: list[Any], query: str = "") -> httpx.Response:
    return client.post(f"/predict{query}", json={"history": history, "rows": rows})


def test_every_row_says_how_it_was_judged_and_where_its_episode_began(client: Client) -> None:
    rows = [
        row_at(0),
        row_at(1, ANOMALY),
        row_at(2, ANOMALY),
        row_at(2, ANOMALY),
        row_at(1),
        row_at(3),
        row_at(4, ANOMALY),
    ]

    answered = apps.predict(client, *rows).json()["rows"]

    assert [row["status"] for row in answered] == [
        *("scored", "scored", "scored", "duplicate", "late", "scored", "scored"),
    ]
    assert [row["episode_start"] for row in answered] == [None, 1, 1, 3, None, None, 6]


def test_an_episode_may_have_begun_in_the_history(client: Client) -> None:
    history = [row_at(0), row_at(1, ANOMALY), row_at(2, ANOMALY)]

    answered = ask(client, history, [row_at(3, ANOMALY), row_at(4), row_at(2)]).json()

    assert (answered["scored"], answered["anomalies"]) == (3, 1)
    rows = answered["rows"]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert [row["episode_start"] for row in rows] == [-2, None, None]
    assert rows[2]["status"] == "late"


def test_a_history_over_many_slices_stands_before_the_first_row(client: Client) -> None:
    history = [row_at(n % 60, sensor_id=str(n)) for n in range(1203)]
    rows = [row_at(59, ANOMALY, sensor_id=str(n)) for n in range(602)]

    answered = ask(client, history, rows).json()

    assert [row["index"] for row in answered["rows"]] == list(range(602))
    assert [row["episode_start"] for row in answered["rows"]] == list(range(602))
    assert answered["rows"][59]["status"] == "duplicate"


@pytest.mark.parametrize("query", ["", "?on_error=skip"])
def test_a_bad_row_of_the_history_is_a_problem_in_either_case(client: Client, query: str) -> None:
    history = [row_at(0), row_at(1, x2="high"), 5]

    response = ask(client, history, [row_at(3)], query)

    assert response.status_code == 422
    assert apps.pointers(response) == [
        ("#/history/1/x2", "wrong_type"),
        ("#/history/2", "not_object"),
    ]
    problem = apps.problem(response)
    assert [error["index"] for error in problem["errors"]] == [1, 2]
    assert "2 of 4 rows cannot be scored" in problem["detail"]
    assert "never skipped" in problem["detail"]


def test_faults_of_the_history_and_of_the_rows_are_told_together(client: Client) -> None:
    response = ask(client, [row_at(0, x1="a")], [row_at(1), row_at(2, x3=None)])

    assert apps.pointers(response) == [
        ("#/history/0/x1", "wrong_type"),
        ("#/rows/1/x3", "null_value"),
    ]


def test_a_skipped_row_after_a_history_stands_in_its_place(client: Client) -> None:
    answered = ask(client, [row_at(0)], [row_at(1), row_at(2, x3=None)], "?on_error=skip").json()

    good, bad = answered["rows"]
    assert (good["index"], bad["index"]) == (0, 1)
    assert bad["errors"][0]["pointer"] == "#/rows/1/x3"


def test_a_history_needs_rows_and_must_be_a_list(client: Client) -> None:
    assert apps.pointers(ask(client, [row_at(0)], [])) == [("#/rows", None)]
    assert apps.pointers(client.post("/predict", json={"history": 5, "rows": [ROW]})) == [
        ("#", None)
    ]


def test_history_and_rows_together_are_bounded(registry_path: Path) -> None:
    with apps.a_client(registry_path, max_rows=3) as client:
        allowed = ask(client, [row_at(0), row_at(1)], [row_at(2)])
        refused = ask(client, [row_at(0), row_at(1)], [row_at(2), row_at(3)])

    assert allowed.status_code == 200
    assert refused.status_code == 413
    assert "4 rows in one request, 2 of them history, at most 3" in refused.json()["detail"]


def test_history_is_documented_as_it_is_taken_and_answered(client: Client) -> None:
    document = client.get("/openapi.json").json()
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    declared = jsonschema.Draft202012Validator(body["schema"])
    answered = {
        "$ref": "#/components/schemas/PredictAnswer",
        "components": document["components"],
    }

    assert declared.is_valid({"history": [], "rows": [ROW]})
    assert declared.is_valid({"history": [ROW], "rows": [ROW]})
    assert not declared.is_valid({"history": [{**ROW, "x1": "1"}], "rows": [ROW]})
    actual = ask(client, [row_at(0, ANOMALY)], [row_at(1, ANOMALY), row_at(2)]).json()
    jsonschema.Draft202012Validator(answered).validate(actual)


def test_the_counters_know_only_rows_that_are_answered(registry_path: Path) -> None:
    with apps.a_client(registry_path) as client:
        ask(client, [row_at(0, ANOMALY), row_at(1)], [row_at(2)])

        assert apps.metric(client, "sensorwatch_rows_scored_total") == 1


def detector_with_carried_values() -> Detector:
    """A detector whose scores need its memory: a missing x2 is the sensor's last one."""
    signals = (
        NumericColumn(name="x1"),
        NumericColumn(name="x2", missing=MissingPolicy.HOLD_LAST),
        NumericColumn(name="x3"),
    )
    schema = a_schema().model_copy(update={"signals": signals})
    return replace(a_detector(), schema=schema)


VALUES = st.floats(-5, 5) | st.sampled_from(ANOMALOUS + NORMAL)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "timestamp": st.integers(0, 59).map(lambda minute: row_at(minute)["timestamp"] + "Z"),
            "sensor_id": st.sampled_from(["s0", "s1", "new"]),
            **dict.fromkeys(NAMES, VALUES),
            "x2": st.none() | VALUES,
        }
    ),
    min_size=1,
    max_size=25,
)


def backtest_outcomes(rows: list[dict[str, Any]], detector: Detector, path: Path) -> list[Outcome]:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["timestamp", "sensor_id", *NAMES])
        writer.writeheader()
        writer.writerows(rows)
    records = read_rows(path, detector.schema)
    return list(score_on(records, detector, detector.empty_memory(), first_row=0, max_rows=4))


def described_scores(outcomes: list[Outcome], history: int) -> list[tuple[object, ...]]:
    """The response of /predict for each row after the history, with scores as bits."""
    actual: list[tuple[object, ...]] = []
    for outcome in outcomes:
        detections = outcome.detections
        scores = (detections.raw_score, detections.anomaly_score, detections.p_value)
        starts = np.where(detections.is_anomaly, detections.episode - history, -1_000)
        actual += zip(
            *(score.view(np.uint64).tolist() for score in scores),
            [str(STATUSES[status]) for status in detections.status],
            starts.tolist(),
            strict=True,
        )
    return actual[history:]


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=40, deadline=None)
@given(rows=ROWS, data=st.data())
def test_backtest_topic_and_request_give_the_same_bits_from_the_same_memory(
    kind: str,
    rows: list[dict[str, Any]],
    data: st.DataObject,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    detector = detector_with_carried_values() if kind == "plain" else DETECTORS[kind]()
    history = data.draw(st.integers(0, len(rows) - 1))
    body = json.dumps({"history": rows[:history], "rows": rows[history:]}).encode()
    outcome = process([json.dumps(row).encode() for row in rows], detector, detector.empty_memory())

    prediction = predict(body, detector, received=2**60, max_rows=25)
    content = encode_response(prediction, detector, on_error=OnError.REJECT, signals=Signals.ALL)
    requested = [
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

    assert outcome.rejections == []
    assert requested == described_scores([outcome], history)
    assert described_scores(backtest_outcomes(rows, detector, path), history) == described_scores(
        [outcome], history
    )
