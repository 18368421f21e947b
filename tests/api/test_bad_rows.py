import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from sensorwatch.api.predict_response import OnError, Signals, encode_response
from sensorwatch.api.prediction import predict
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.field_declarations import KeyField, NumericColumn, TimeField
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detector import Detector
from tests.api import app_builders as apps
from tests.api.app_builders import ROW, Client
from tests.reading_builders import a_detector

FUTURE_TIME = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
DEEPLY_NESTED_LIST = json.loads("[" * 70 + "]" * 70)

OTHER_SIGNALS = (NumericColumn(name="x2"), NumericColumn(name="x3"))
OTHER_VALUES = {"x2": 0.0, "x3": 0.0}


def row_without(name: str) -> dict[str, object]:
    return {key: value for key, value in ROW.items() if key != name}


@pytest.mark.parametrize(
    ("row", "pointer", "reason"),
    [
        ({**ROW, "more": DEEPLY_NESTED_LIST}, "#/rows/1", "not_json"),
        ([ROW], "#/rows/1", "not_object"),
        (None, "#/rows/1", "not_object"),
        (row_without("x2"), "#/rows/1/x2", "missing_field"),
        (row_without("timestamp"), "#/rows/1/timestamp", "missing_field"),
        ({**ROW, "x2": None}, "#/rows/1/x2", "null_value"),
        ({**ROW, "x2": "3"}, "#/rows/1/x2", "wrong_type"),
        ({**ROW, "x2": True}, "#/rows/1/x2", "wrong_type"),
        ({**ROW, "x2": 1e39}, "#/rows/1/x2", "not_finite"),
        ({**ROW, "x2": 10**400}, "#/rows/1/x2", "not_finite"),
        ({**ROW, "x2": 1000.5}, "#/rows/1/x2", "out_of_range"),
        ({**ROW, "timestamp": "yesterday"}, "#/rows/1/timestamp", "bad_timestamp"),
        ({**ROW, "timestamp": FUTURE_TIME}, "#/rows/1/timestamp", "future_timestamp"),
        ({**ROW, "sensor_id": ""}, "#/rows/1/sensor_id", "bad_key"),
        ({**ROW, "more": "x" * 300_000}, "#/rows/1", "too_large"),
    ],
)
def test_the_error_contains_the_reason_and_a_pointer_to_the_field(
    client: Client, row: object, pointer: str, reason: str
) -> None:
    response = apps.post_rows(client, ROW, row, ROW)

    assert response.status_code == 422
    [error] = apps.problem_details(response)["errors"]
    assert (error["pointer"], error["reason"], error["index"]) == (pointer, reason, 1)
    assert error["detail"]


def test_the_response_lists_every_fault_of_every_bad_row(client: Client) -> None:
    response = apps.post_rows(client, {"x1": "1", "x2": None, "x3": 1e9}, ROW, 7)

    assert apps.error_pointers(response) == [
        ("#/rows/0/timestamp", "missing_field"),
        ("#/rows/0/x1", "wrong_type"),
        ("#/rows/0/x2", "null_value"),
        ("#/rows/0/x3", "out_of_range"),
        ("#/rows/2", "not_object"),
    ]
    assert "2 of 3 rows" in response.json()["detail"]


def test_on_error_skip_scores_good_rows_and_lists_errors_at_the_index_of_bad_rows(
    client: Client,
) -> None:
    rows: list[object] = [{**ROW, "sensor_id": str(number)} for number in range(600)]
    rows[1], rows[550] = {**ROW, "x2": None}, "no row"

    response = apps.post_rows(client, *rows, query="?on_error=skip")

    assert response.status_code == 200
    response_body = response.json()
    assert (response_body["scored"], response_body["rejected"]) == (598, 2)
    assert [row["index"] for row in response_body["rows"]] == list(range(600))
    bad_rows = [row for row in response_body["rows"] if "errors" in row]
    assert [(row["index"], row["errors"][0]["pointer"]) for row in bad_rows] == [
        (1, "#/rows/1/x2"),
        (550, "#/rows/550"),
    ]
    assert all("raw_score" in row for row in response_body["rows"] if row not in bad_rows)


def test_on_error_skip_answers_even_if_every_row_is_bad(client: Client) -> None:
    response_body = apps.post_rows(client, {}, {}, query="?on_error=skip").json()

    assert (response_body["scored"], response_body["anomalies"], response_body["rejected"]) == (
        0,
        0,
        2,
    )


def test_the_number_of_faults_in_a_response_is_bounded(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensorwatch.api.prediction.MAX_FAULTS", 2_000)

    response_at_limit = apps.post_rows(client, *[{}] * 500, query="?on_error=skip")
    response_above_limit = apps.post_rows(client, *[{}] * 1_600, query="?on_error=skip")

    assert response_at_limit.status_code == 200
    assert response_above_limit.status_code == 422
    assert (
        "the last 1099 rows were not read" in apps.problem_details(response_above_limit)["detail"]
    )
    assert len(apps.problem_details(response_above_limit)["errors"]) == 4 * 501


def errors_of(schema: Schema, row: object) -> list[dict[str, Any]]:
    detector = replace(a_detector(), schema=schema)
    body = json.dumps({"rows": [row]}).encode()
    prediction = predict(body, detector, received=1_735_689_600_000_000, max_rows=1)
    content = encode_response(prediction, detector, on_error=OnError.SKIP, signals=Signals.ALL)
    errors: list[dict[str, Any]] = json.loads(content)["rows"][0]["errors"]
    return errors


def test_pointers_name_nested_fields_and_escape_special_characters() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT,
        time=TimeField(field=("meta.at",)),
        key=KeyField(field=("meta.id",)),
        signals=(NumericColumn(name="x1", field="payload.a/b~c %"), *OTHER_SIGNALS),
    )
    row = {
        "payload": {"d.e": 1},
        "meta": {"id": "s", "odd": 2},
        "f.g": 3,
        "\u00e9": 4,
    } | OTHER_VALUES

    errors = {(error["pointer"], error["reason"]) for error in errors_of(schema, row)}

    assert errors == {
        ("#/rows/0/meta/at", "missing_field"),
        ("#/rows/0/payload/a~1b~0c%20%25", "missing_field"),
        ("#/rows/0/payload/d.e", "unknown_field"),
        ("#/rows/0/meta/odd", "unknown_field"),
        ("#/rows/0/f.g", "unknown_field"),
        ("#/rows/0/%C3%A9", "unknown_field"),
    }


def test_the_error_of_an_unknown_field_with_a_very_long_name_points_to_its_row() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT, signals=(NumericColumn(name="x1"), *OTHER_SIGNALS)
    )

    [error] = errors_of(
        schema, {"timestamp": "2025-01-01T00:00:00Z", "x1": 1, "y" * 999: 1} | OTHER_VALUES
    )

    assert error["pointer"] == "#/rows/0"


def test_only_the_first_hundred_unknown_fields_of_a_row_are_listed() -> None:
    schema = Schema(
        unknown_fields=UnknownFields.REJECT, signals=(NumericColumn(name="x1"), *OTHER_SIGNALS)
    )
    names = [f"y.{number}" for number in range(15_000)]

    errors = errors_of(
        schema, {**ROW, "timestamp": "2025-01-01T00:00:00Z", **dict.fromkeys(names, 1)}
    )

    assert [error["pointer"] for error in errors] == [f"#/rows/0/{name}" for name in names[:100]]


def test_a_row_that_the_model_cannot_score_has_the_reason_scoring_failed() -> None:
    detector = with_failing_scores(a_detector())
    body = json.dumps({"rows": [ROW]}).encode()

    prediction = predict(body, detector, received=2**60, max_rows=1)

    with pytest.raises(Problem) as error_info:
        encode_response(prediction, detector, on_error=OnError.REJECT, signals=Signals.ALL)
    [error] = json.loads(bytes(error_info.value.response().body))["errors"]
    assert (error["pointer"], error["reason"]) == ("#/rows/0", "scoring_failed")


def with_failing_scores(detector: Detector) -> Detector:
    return replace(detector, forest=replace(detector.forest, normaliser=np.asarray([np.nan])))
