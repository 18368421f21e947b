"""The routes of the service."""

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query
from fastapi.routing import APIRoute
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import Response

from sensorwatch.api.api_key import check_key
from sensorwatch.api.problem_details import MEDIA_TYPE, Problem
from sensorwatch.api.request_body import read_body
from sensorwatch.api.request_formats import RowsRequest
from sensorwatch.api.response_models import (
    Health,
    Live,
    ManifestDocument,
    PredictAnswer,
    PredictQuery,
    ProblemModel,
    ServiceStatus,
)
from sensorwatch.api.service import service_of
from sensorwatch.common.runtime.build import project_version

OPENAPI_TAG = "sensorwatch"
_DEFAULT_QUERY = PredictQuery()


def add_routes(app: FastAPI, registry: CollectorRegistry) -> None:
    """Add the routes to `app`; /metrics returns the metrics of `registry`."""

    async def metrics(request: Request) -> Response:
        """Return the metrics for Prometheus."""
        service_of(request).row_metrics.update_anomaly_ratio()
        encode, content_type = choose_encoder(request.headers.get("accept") or "")
        return Response(encode(registry), media_type=content_type)

    app.router.add_api_route(
        "/predict",
        predict,
        route_class_override=_PredictRoute,
        tags=[OPENAPI_TAG],
        methods=["POST"],
        dependencies=[Depends(require_key)],
        response_model=PredictAnswer,
        responses=problems(401, 408, 413, 415, 422, 503),
        summary="Score rows",
    )
    _add_get_route(app, "/model", model, "The manifest of the served version", 401, 503, key=True)
    _add_get_route(app, "/health", health, "The status of the service, for people")
    _add_get_route(app, "/livez", livez, "200 if the process works; otherwise restart it", 503)
    _add_get_route(app, "/readyz", readyz, "200 if a model is loaded and can score requests", 503)
    _add_get_route(app, "/metrics", metrics, "The metrics for Prometheus")


async def require_key(request: Request) -> None:
    """Raise Problem (401) if a key is configured and the request does not have it."""
    check_key(request, service_of(request).key)


async def predict(request: Request, query: Annotated[PredictQuery, Query()]) -> Response:
    """Score the rows of a request with the champion; one model version scores all rows.

    The body is `{"rows": [...]}`; each item is a row, or another record that the model's schema
    declares. Each row is compared with the previous rows of the same sensor in this request.
    In `{"history": [...], "rows": [...]}`, the `history` rows warm up the memory and get no scores.
    """
    service = service_of(request)
    service.check_load()
    body = await read_body(request, max_bytes=service.settings.max_bytes)
    scoring_request = RowsRequest(body, service.settings.max_rows, query.on_error, query.signals)
    return json_response(await service.score(scoring_request))


class _PredictRoute(APIRoute):
    """Skips FastAPI's query parsing, which is slow, if the URL has no query."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that handles a request."""
        handle_with_query = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                return await handle_with_query(request)
            await require_key(request)
            return await predict(request, _DEFAULT_QUERY)

        return handle


async def model(request: Request) -> ManifestDocument:
    """Return the manifest of the served version."""
    return service_of(request).served_version().version.manifest.to_plain()


async def health(request: Request) -> Health:
    """Return the status of the service and the served version. The code is 200 in any status."""
    service = service_of(request)
    follower = service.follower
    served_version, refusal_reason = follower.served_version, follower.refusal_reason
    if served_version is None:
        status = ServiceStatus.NO_MODEL
    else:
        status = ServiceStatus.DEGRADED if refusal_reason else ServiceStatus.OK
    return Health(
        status=status,
        model_name=service.model_name,
        model_version=served_version.version.manifest.id if served_version else None,
        model_loaded_at=served_version.loaded_at if served_version else None,
        version=project_version(),
    )


async def livez(request: Request) -> Live:
    """Return 200 if the task that loads new champions runs.

    If the event loop is blocked, there is no response.
    """
    if service_of(request).follower_stopped:
        detail = "new champions are no longer loaded; see the log, and restart the process"
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail)
    return Live()


async def readyz(request: Request) -> Live:
    """Return 200 if a model is loaded."""
    service_of(request).served_version()
    return Live()


def _add_get_route(
    app: FastAPI, path: str, endpoint: Any, summary: str, *statuses: int, key: bool = False
) -> None:
    options: dict[str, Any] = {"dependencies": [Depends(require_key)] if key else []}
    responses = problems(*statuses)
    app.add_api_route(
        path, endpoint, summary=summary, responses=responses, tags=[OPENAPI_TAG], **options
    )
    # Some probes and load balancers send HEAD requests.
    app.add_api_route(path, endpoint, methods=["HEAD"], include_in_schema=False, **options)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the OpenAPI description of problem responses with these statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{ProblemModel.__name__}"}}}
    return {
        status: {"description": HTTPStatus(status).phrase, "content": content}
        for status in statuses
    }


def json_response(content: bytes) -> Response:
    """Return an HTTP response whose body is `content`, which is JSON."""
    return Response(content, media_type="application/json")
