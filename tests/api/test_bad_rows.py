import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import predict
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.schema import KeyField, NumericColumn, Schema, TimeField, UnknownFields
from sensorwatch.common.scoring.detector import Detector
from tests.api import app_builders as apps
from tests.api.app_builders import ROW, Client
from tests.reading_builders import a_detector

FUTURE = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
DEEP = json.loads("[" * 70 + "]" * 70)

MORE_SIGNALS = (NumericColumn(name="x2"), NumericColumn(name="x3"))
MORE = {"x2": 0.0, "x3": 0.0}


def without(name: str) -> dict[str, object]:
    return {key: value for key, value in ROW.items() if key != name}


@pytest.mark.parametrize(
    ("row", "pointer", "reason"),
    [
        ({**ROW, "more": DEEP}, "#/rows/1", "not_json"),
        ([ROW], "#/rows/1", "not_object"),
        (None, "#/rows/1", "not_object"),
        (without("x2"), "#/rows/1/x2", "missing_field"),
        (without("timestamp"), "#/rows/1/timestamp", "missing_field"),
        ({**ROW, "x2": None}, "#/rows/1/x2", "null_value"),
        ({**ROW, "x2": "3"}, "#/rows/1/x2", "wrong_type"),
        ({**ROW, "x2": True}, "#/rows/1/x2", "wrong_type"),
        ({**ROW, "x2": 1e39}, "#/rows/1/x2", "not_finite"),
        ({**ROW, "x2": 10**400}, "#/rows/1/x2", "not_finite"),
        ({**ROW, "x2": 1000.5}, "#/rows/1/x2", "out_of_range"),
        ({**ROW, "timestamp": "yesterday"}, "#/rows/1/timestamp", "bad_timestamp"),
        ({**ROW, "timestamp": FUTURE}, "#/rows/1/timestamp", "future_timestamp"),
        ({**ROW, "sensor_id": ""}, "#/rows/1/sensor_id", "bad_key"),
        ({**ROW, "more": "x" * 300_000}, "#/rows/1", "too_large"),
    ],
)
def test_each_reason_is_told_with_a_pointer_to_the_field(
    client: Client, row: object, pointer: str, reason: str
) -> None:
    response = apps.predict(client, ROW, row, ROW)

    assert response.status_code == 422
    [error] = apps.problem(response)["errors"]
    assert (error["pointer"], error["reason"], error["index"]) == (pointer, reason, 1)
    assert error["detail"]


def test_every_fault_of_every_bad_row_is_named(client: Client) -> None:
    response = apps.predict(client, {"x1": "1", "x2": None, "x3": 1e9}, ROW, 7)

    assert apps.pointers(response) == [
        ("#/rows/0/timestamp", "missing_field"),
        ("#/rows/0/x1", "wrong_type"),
        ("#/rows/0/x2", "null_value"),
        ("#/rows/0/x3", "out_of_range"),
        ("#/rows/2", "not_object"),
    ]
    assert "2 of 3 rows" in response.json()["detail"]


def test_skipping_scores_the_good_rows_and_tells_the_bad_ones_in_their_place(
    client: Client,
) -> None:
    rows: list[object] = [{**ROW, "sensor_id": str(number)} for number in range(600)]
    rows[1], rows[550] = {**ROW, "x2": None}, "no row"

    response = apps.predict(client, *rows, query="?on_error=skip")

    assert response.status_code == 200
    answered = response.json()
    assert (answered["scored"], answered["rejected"]) == (598, 2)
    assert [row["index"] for row in answered["rows"]] == list(range(600))
    bad = [row for row in answered["rows"] if "errors" in row]
    assert [(row["index"], row["errors"][0]["pointer"]) for row in bad] == [
        (1, "#/rows/1/x2"),
        (550, "#/rows/550"),
    ]
    assert all("raw_score" in row for row in answered["rows"] if row not in bad)


def test_skipping_answers_also_where_every_row_is_bad(client: Client) -> None:
    answered = apps.predict(client, {}, {}, query="?on_error=skip").json()

    assert (answered["scored"], answered["anomalies"], answered["rejected"]) == (0, 0, 2)


def test_a_request_with_very_many_faults_gets_a_bounded_answer(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.prediction.MAX_FAULTS", 2_000)

    exactly = apps.predict(client, *[{}] * 500, query="?on_error=skip")
    more = apps.predict(client, *[{}] * 1_600, query="?on_error=skip")

    assert exactly.status_code == 200
    assert more.status_code == 422
    assert "the last 1099 rows were not read" in apps.problem(more)["detail"]
    assert len(apps.problem(more)["errors"]) == 4 * 501


def errors_of(schema: Schema, row: object) -> list[dict[str, Any]]:
    detector = replace(a_detector(), schema=schema)
    body = json.dumps({"rows": [row]}).encode()
    prediction = predict(body, detector, received=0, max_rows=1)
    content = encode_response(prediction, detector, on_error=OnError.SKIP, signals=Signals.ALL)
    errors: list[dict[str, Any]] = json.loads(content)["rows"][0]["errors"]
    return errors


def test_pointers_reach_into_nested_rows_and_escape_odd_names() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT,
        time=TimeField(field="meta.at"),
        key=KeyField(field="meta.id"),
        signals=(NumericColumn(name="x1", field="payload.a/b~c %"), *MORE_SIGNALS),
    )
    row = {"payload": {"d.e": 1}, "meta": {"id": "s", "odd": 2}, "f.g": 3, "\u00e9": 4} | MORE

    actual = {(error["pointer"], error["reason"]) for error in errors_of(schema, row)}

    assert actual == {
        ("#/rows/0/meta/at", "missing_field"),
        ("#/rows/0/payload/a~1b~0c%20%25", "missing_field"),
        ("#/rows/0/payload/d.e", "unknown_field"),
        ("#/rows/0/meta/odd", "unknown_field"),
        ("#/rows/0/f.g", "unknown_field"),
        ("#/rows/0/%C3%A9", "unknown_field"),
    }


def test_an_unknown_field_with_an_endless_name_points_to_its_row() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT, signals=(NumericColumn(name="x1"), *MORE_SIGNALS)
    )

    [error] = errors_of(schema, {"timestamp": "2025-01-01T00:00:00Z", "x1": 1, "y" * 999: 1} | MORE)

    assert error["pointer"] == "#/rows/0"


def test_of_thousands_of_unknown_fields_in_a_row_the_first_hundred_are_told() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT, signals=(NumericColumn(name="x1"), *MORE_SIGNALS)
    )
    names = [f"y.{number}" for number in range(15_000)]

    errors = errors_of(
        schema, {**ROW, "timestamp": "2025-01-01T00:00:00Z", **dict.fromkeys(names, 1)}
    )

    assert [error["pointer"] for error in errors] == [f"#/rows/0/{name}" for name in names[:100]]


def test_a_row_that_the_model_cannot_score_is_a_bad_row() -> None:
    detector = without_scores(a_detector())
    body = json.dumps({"rows": [ROW]}).encode()

    prediction = predict(body, detector, received=2**60, max_rows=1)

    with pytest.raises(Problem) as caught:
        encode_response(prediction, detector, on_error=OnError.REJECT, signals=Signals.ALL)
    [error] = json.loads(bytes(caught.value.response().body))["errors"]
    assert (error["pointer"], error["reason"]) == ("#/rows/0", "scoring_failed")


def without_scores(detector: Detector) -> Detector:
    return replace(detector, forest=replace(detector.forest, normaliser=np.asarray([np.nan])))
