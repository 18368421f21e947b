"""The OpenAPI document, with the row schema of the served model."""

from pathlib import Path
from typing import Any

import fastapi_offline
import numpy as np
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.openapi.utils import get_openapi
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from sensorwatch.api.api_key import has_valid_key
from sensorwatch.api.item_json_schema import example_items, item_schema
from sensorwatch.api.response_models import PredictAnswer, ProblemModel
from sensorwatch.api.service import service_of
from sensorwatch.common.scoring.detector import Detector

OPENAPI_PATH = "/openapi.json"
ASSETS_PATH = "/docs/assets"
API_DESCRIPTION = """
Scores sensor rows with the champion of a model registry.

`anomaly_score` is 1.0 at the threshold of every model; a row with a higher score is anomalous.
Every error is `application/problem+json` (RFC 9457). `errors` lists each fault with a JSON pointer.
"""
_ANY_ITEM = {"description": "A row or another record, as the model's schema declares it."}
_EXAMPLE_ROW = {"timestamp": "2025-01-01T00:00:00", "x1": 0.1, "x2": 0.2, "x3": 0.3}


def add_documentation_routes(app: FastAPI) -> None:
    """Add /openapi.json and /docs to `app`; call this function after the other routes are added."""

    def document(request: Request) -> JSONResponse:
        # FastAPI runs this function in a thread, because the function is not async. In the event
        # loop, building the document would block other requests.
        service = service_of(request)
        served_version = service.follower.served_version
        detector = (
            served_version.version.detector
            if served_version and has_valid_key(request, service.key)
            else None
        )
        document_with_servers = openapi_document(app, detector, with_key=service.key is not None)
        document_with_servers["servers"] = [{"url": request.scope.get("root_path") or "/"}]
        return JSONResponse(document_with_servers)

    async def docs_page(request: Request) -> Response:
        root = request.scope.get("root_path", "").rstrip("/")
        return get_swagger_ui_html(
            openapi_url=f"{root}{OPENAPI_PATH}",
            title=app.title,
            swagger_js_url=f"{root}{ASSETS_PATH}/swagger-ui-bundle.js",
            swagger_css_url=f"{root}{ASSETS_PATH}/swagger-ui.css",
            swagger_favicon_url=f"{root}{ASSETS_PATH}/favicon.png",
        )

    app.add_api_route(OPENAPI_PATH, document, include_in_schema=False)
    app.add_api_route("/docs", docs_page, include_in_schema=False)
    # /docs loads its scripts from this server, because plant networks often have no internet.
    assets_folder = Path(fastapi_offline.__file__).parent / "static"
    app.mount(ASSETS_PATH, StaticFiles(directory=assets_folder))
    app.openapi = lambda: openapi_document(  # type: ignore[method-assign]  # as FastAPI documents it
        app, None, with_key=False
    )


def openapi_document(app: FastAPI, detector: Detector | None, *, with_key: bool) -> dict[str, Any]:
    """Return the OpenAPI document.

    `detector` is the served detector, which gives the row schema and the example. If `detector` is
    None, the schema permits any row.
    """
    document = get_openapi(
        title=app.title, version=app.version, description=API_DESCRIPTION, routes=app.routes
    )
    _, definitions = models_json_schema(
        [(ProblemModel, "serialization"), (PredictAnswer, "serialization")],
        ref_template="#/components/schemas/{model}",
    )
    components = document.setdefault("components", {})
    components["schemas"] = definitions["$defs"] | components.get("schemas", {})
    _describe_body(document["paths"]["/predict"]["post"], detector)
    if with_key:
        _describe_key(document)
    return document


def _describe_body(operation: dict[str, Any], detector: Detector | None) -> None:
    item: dict[str, Any] = _ANY_ITEM
    examples: list[object] = [_EXAMPLE_ROW]
    if detector is not None:
        item = item_schema(detector.schema)
        examples = example_items(detector.schema, _typical_values(detector))
    rows = {"type": "array", "minItems": 1, "items": item}
    history = {
        "type": "array",
        "items": item,
        "description": "Items before the first of `rows`. Their rows warm up the memory, and the "
        "response does not contain them. They count towards the row limit of a request.",
    }
    properties = {"rows": rows, "history": history}
    body = {"type": "object", "properties": properties, "required": ["rows"]}
    operation["requestBody"] = {
        "required": True,
        "content": {"application/json": {"schema": body, "example": {"rows": examples}}},
    }


def _typical_values(detector: Detector) -> list[float]:
    """Return an example value for each column.

    The value is the rounded training median of a signal, and 0 for a context column. The expected
    value is clipped to the bounds of the column.
    """
    bounds = np.asarray([column.bounds for column in detector.schema.columns])
    rounded_medians = [float(f"{value:.4g}") for value in detector.typical_values]
    rounded_medians += [0.0] * len(detector.schema.context)
    return [float(value) for value in np.clip(rounded_medians, bounds[:, 0], bounds[:, 1])]


def _describe_key(document: dict[str, Any]) -> None:
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for operations in document["paths"].values():
        for operation in operations.values():
            if "401" in operation["responses"]:
                operation["security"] = [{"bearer": []}, {"header": []}]
