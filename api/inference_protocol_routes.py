"""The routes of the Open Inference Protocol (V2, REST)."""

from http import HTTPStatus
from typing import Any

from fastapi import Depends, FastAPI
from starlette.requests import Request
from starlette.responses import Response

from sensorwatch.api.inference_protocol import metadata
from sensorwatch.api.problem_details import Problem
from sensorwatch.api.request_body import read_body
from sensorwatch.api.request_formats import TensorsRequest
from sensorwatch.api.response_models import Live
from sensorwatch.api.routes import json_response, problems, require_key
from sensorwatch.api.service import Service, service_of

OPENAPI_TAG = "Open Inference Protocol"
_TENSOR = {
    "type": "object",
    "required": ["name", "shape", "datatype", "data"],
    "properties": {
        "name": {"type": "string", "description": "A field of the model's schema."},
        "shape": {"type": "array", "items": {"type": "integer"}, "description": "[rows]"},
        "datatype": {"type": "string", "description": "FP64 for signals, BYTES for texts."},
        "data": {"type": "array", "items": {}, "minItems": 1},
    },
}
_BODY = {
    "type": "object",
    "required": ["inputs"],
    "properties": {
        "id": {"type": "string"},
        "inputs": {"type": "array", "minItems": 1, "items": _TENSOR},
    },
}


def add_inference_routes(app: FastAPI) -> None:
    """Add /v2/models/{name}, .../ready and .../infer to `app`."""
    key_options: dict[str, Any] = {"dependencies": [Depends(require_key)], "tags": [OPENAPI_TAG]}
    path = "/v2/models/{name}"
    app.add_api_route(
        path,
        model_metadata,
        summary="Inputs and outputs of the served version",
        responses=problems(401, 404, 503),
        **key_options,
    )
    app.add_api_route(
        f"{path}/ready",
        model_ready,
        summary="200 if a model is loaded and can score requests",
        responses=problems(404, 503),
        tags=[OPENAPI_TAG],
    )
    app.add_api_route(
        f"{path}/infer",
        infer,
        methods=["POST"],
        summary="Score rows that are sent as tensors",
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": _BODY}},
            }
        },
        responses=problems(401, 404, 408, 413, 415, 422, 503),
        **key_options,
    )


async def model_metadata(request: Request, name: str) -> dict[str, Any]:
    """Return the names and types of the inputs and outputs of the served version."""
    return metadata(name, _service(request, name).served_version().version.detector)


async def model_ready(request: Request, name: str) -> Live:
    """Return 200 if the model is loaded."""
    _service(request, name).served_version()
    return Live()


async def infer(request: Request, name: str) -> Response:
    """Score rows. The request has one input for each field, of shape [rows]."""
    service = _service(request, name)
    service.check_load()
    body = await read_body(request, max_bytes=service.settings.max_bytes)
    return json_response(await service.score(TensorsRequest(body, service.settings.max_rows)))


def _service(request: Request, name: str) -> Service:
    service = service_of(request)
    if name != service.model_name:
        detail = f'there is no model "{name[:100]}" here, only "{service.model_name}"'
        raise Problem(HTTPStatus.NOT_FOUND, detail)
    return service
