"""Converts tensors of the Open Inference Protocol (V2, REST) to rows, and scores to tensors."""

from http import HTTPStatus
from typing import Any

import msgspec
import numpy as np

from sensorwatch.api.json_pointers import pointer
from sensorwatch.api.prediction import Prediction
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.rows.field_declarations import EPOCH_UNITS_NS
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS
from sensorwatch.common.scoring.detector import Detector

OUTPUT_DATATYPES = {
    "anomaly_score": "FP64",
    "raw_score": "FP64",
    "is_anomaly": "BOOL",
    "p_value": "FP64",
    "severity": "BYTES",
}


class Tensor(msgspec.Struct):
    """An input tensor: the values of one field, one value per row."""

    name: str
    shape: list[int]
    datatype: str
    data: list[Any]


class InferRequest(msgspec.Struct):
    """An inference request: one tensor for each field of the model's schema."""

    inputs: list[Tensor]
    id: str | None = None


_DECODER = msgspec.json.Decoder(InferRequest)


def decode_infer_request(body: bytes, schema: Schema, *, max_rows: int) -> InferRequest:
    """Return the inference request that a body contains.

    Raises Problem: 422 if the body is not a valid request or has an input that is not a field of
    `schema`, 413 if there are more than `max_rows` rows.
    """
    try:
        request = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise _invalid_request(
            f"{error}; wanted an inference request of the V2 protocol"
        ) from error
    if not request.inputs:
        raise _invalid_request("there are no inputs", "inputs")
    rows, names = len(request.inputs[0].data), set(schema.read_names)
    for position, tensor in enumerate(request.inputs):
        if tensor.name not in names:
            unused_names = ", ".join(name for name in schema.read_names if name in names)
            detail = f"found {tensor.name[:100]!r}, wanted each of {unused_names} at most once"
            raise _invalid_request(detail, "inputs", position, "name")
        names.remove(tensor.name)
        if tensor.shape not in ([rows], [rows, 1]) or len(tensor.data) != rows or rows == 0:
            detail = (
                f"input {tensor.name!r} has the shape {tensor.shape[:8]} and {len(tensor.data)} "
                "values; wanted [rows], one value per row, as many as in the other inputs"
            )
            raise _invalid_request(detail, "inputs", position)
    if rows > max_rows:
        detail = f"{rows} rows in one request, at most {max_rows}: send several requests"
        raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
    return request


def rows_as_payloads(request: InferRequest) -> list[bytes]:
    """Return each row of a request as JSON, as in the value of a Kafka record."""
    payloads = []
    for values in zip(*(tensor.data for tensor in request.inputs), strict=True):
        row: dict[str, object] = {}
        for tensor, value in zip(request.inputs, values, strict=True):
            row[tensor.name] = value  # a parser looks up a whole name first
        payloads.append(msgspec.json.encode(row))
    return payloads


def encode_infer_response(prediction: Prediction, request: InferRequest) -> bytes:
    """Return the JSON response with one output tensor per score.

    Raises Problem (422), which lists every fault of every bad row, or the rows that the schema
    ignores, because the tensors have a score for each row.
    """
    if prediction.rejections:
        raise _bad_rows_problem(prediction, request)
    if prediction.ignored:
        raise _ignored_rows_problem(prediction)
    detections_by_chunk = [outcome.detections for outcome in prediction.outcomes]
    columns = {
        name: np.concatenate([getattr(detections, name) for detections in detections_by_chunk])
        for name in OUTPUT_DATATYPES
    }
    columns["severity"] = SEVERITY_TEXTS[columns["severity"]]
    data = {name: column.tolist() for name, column in columns.items()}
    outputs = [
        {"name": name, "datatype": datatype, "shape": [len(data[name])], "data": data[name]}
        for name, datatype in OUTPUT_DATATYPES.items()
    ]
    model = prediction.version.rsplit("-", 2)[0]  # a version id has the form name-number-digest
    response = {"model_name": model, "model_version": prediction.version, "outputs": outputs}
    return msgspec.json.encode(response | ({"id": request.id} if request.id is not None else {}))


def metadata(model: str, detector: Detector) -> dict[str, Any]:
    """Return the metadata of a model, as the Open Inference Protocol defines them."""
    schema = detector.schema
    text_paths = {*schema.quality_paths, *(schema.key.fields if schema.key else ())}
    text_paths.difference_update(column.path for column in schema.columns)
    if schema.time.formats[0] not in EPOCH_UNITS_NS:
        text_paths.update(schema.time.fields)
    return {
        "name": model,
        "versions": [detector.version],
        "platform": "sensorwatch",
        "inputs": [
            {"name": name, "datatype": "BYTES" if path in text_paths else "FP64", "shape": [-1]}
            for name, path in zip(schema.read_names, schema.read_paths, strict=True)
        ],
        "outputs": [
            {"name": name, "datatype": datatype, "shape": [-1]}
            for name, datatype in OUTPUT_DATATYPES.items()
        ],
    }


def _bad_rows_problem(prediction: Prediction, request: InferRequest) -> Problem:
    positions_by_name = {tensor.name: position for position, tensor in enumerate(request.inputs)}

    def fault_pointer(index: int, fault: Fault) -> str:
        position = positions_by_name.get(column_name(fault.field))
        return pointer("inputs") if position is None else pointer("inputs", position, "data", index)

    errors = [
        {
            "pointer": fault_pointer(rejection.index, fault),
            "detail": fault.detail,
            "reason": fault.reason,
            "index": rejection.index,
        }
        for rejection in prediction.rejections
        for fault in rejection.faults
    ]
    detail = (
        f"{len(prediction.rejections)} rows cannot be scored, so no row was scored: correct them"
    )
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _ignored_rows_problem(prediction: Prediction) -> Problem:
    detail = "the schema ignores some rows, so they have no score: leave them out"
    errors = [
        {"pointer": pointer("inputs"), "detail": "[ignore] matches this row", "index": item}
        for item, _ in prediction.ignored
    ]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)


def _invalid_request(detail: str, *path: object) -> Problem:
    errors = [{"pointer": pointer(*path), "detail": detail}]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors)
