"""Creation of the FastAPI application."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, ProcessCollector

from sensorwatch.api.inference_protocol_routes import add_inference_routes
from sensorwatch.api.openapi_document import add_documentation_routes
from sensorwatch.api.page.page_backend import MakePage
from sensorwatch.api.page.page_process import PageProcess
from sensorwatch.api.page.page_routes import add_page_routes
from sensorwatch.api.problem_details import add_problem_handlers
from sensorwatch.api.request_metrics import RequestMetricsMiddleware
from sensorwatch.api.routes import add_routes
from sensorwatch.api.service import Service
from sensorwatch.common.runtime.build import project_version
from sensorwatch.common.runtime.metrics import HttpMetrics
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import load_settings


def _load_settings() -> Settings:
    return load_settings().settings


def create_app(
    settings: Callable[[], Settings] = _load_settings, *, make_page: MakePage = PageProcess
) -> FastAPI:
    """Return the application, which calls `settings` when it starts.

    `make_page` returns the live page; by default, a process of its own renders the page.

    The application fails to start, with SettingsError, if the settings cannot be used.
    """
    metrics_registry = CollectorRegistry()
    ProcessCollector(registry=metrics_registry)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        service = Service(settings(), metrics, make_page)
        async with service.run_until_shutdown():
            yield {"service": service}

    app = FastAPI(
        title="sensorwatch",
        version=project_version(),
        lifespan=lifespan,
        openapi_url=None,  # api/openapi_document.py adds the route
    )
    add_routes(app, metrics_registry)
    add_inference_routes(app)
    add_page_routes(app)
    add_documentation_routes(app)
    metrics = HttpMetrics(metrics_registry, handlers=_methods_and_paths(app))
    add_problem_handlers(app)
    app.add_middleware(RequestMetricsMiddleware, metrics=metrics)
    return app


def _methods_and_paths(app: FastAPI) -> list[tuple[str, str]]:
    return [
        (method, path)
        for route in app.routes
        for path in [getattr(route, "path", "")]
        for method in getattr(route, "methods", None) or ()
        if method != "HEAD"
    ]
