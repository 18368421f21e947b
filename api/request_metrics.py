"""Metrics of requests: their number and duration, by route."""

import time
from http import HTTPStatus

from prometheus_client import Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sensorwatch.common.runtime.metrics import HttpMetrics

UNMATCHED_HANDLER = "unmatched"
"""Value of the label `handler` for unknown paths.

The path itself is not a label, because clients could then create any number of series."""
_METHOD_LABELS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class RequestMetricsMiddleware:
    """ASGI middleware that counts all requests and measures their duration."""

    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics) -> None:
        self._app, self._metrics = app, metrics
        self._labelled_metrics: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        """The metrics of each method, handler and status: a cache, because `labels` is slow."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request, then count it and record its duration."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        start_time = time.perf_counter()

        async def send_and_keep_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_keep_status)
        finally:
            self._count(scope, status, time.perf_counter() - start_time)

    def _count(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHOD_LABELS else "other"
        handler = getattr(scope.get("route"), "path", UNMATCHED_HANDLER)
        labelled_metrics = self._labelled_metrics.get((method, handler, status))
        if labelled_metrics is None:
            labelled_metrics = (
                self._metrics.requests.labels(method, handler, str(status)),
                self._metrics.request_duration.labels(method, handler),
            )
            self._labelled_metrics[method, handler, status] = labelled_metrics
        requests, duration = labelled_metrics
        requests.inc()
        duration.observe(seconds)
