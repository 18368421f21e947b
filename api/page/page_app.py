"""The application that renders the page. Its requests were checked before."""

from http import HTTPStatus

from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Lifespan

from sensorwatch.api.page.access import SECURITY_HEADERS
from sensorwatch.api.page.event_stream import EventStream
from sensorwatch.api.page.lane_feed import lanes_document
from sensorwatch.api.page.live_page import MAX_STREAMS, LivePage
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.page.sensor_view import sensor_view
from sensorwatch.api.page.signal_charts import signal_charts
from sensorwatch.api.page.span_view import span_of
from sensorwatch.api.page.verdict_routes import VERDICT_PATH, post_verdict, verdict_form
from sensorwatch.api.problem_details import Problem, add_problem_handlers


def create_page_app(page: LivePage, lifespan: Lifespan[FastAPI] | None = None) -> FastAPI:
    """Return the application of a page. It has no access control and no static files."""
    app = FastAPI(openapi_url=None, lifespan=lifespan)
    app.state.page = page
    for path, endpoint in {
        "/": home,
        "/sensor": sensor,
        "/odd": odd_sensors,
        VERDICT_PATH: verdict_form,
        "/lanes": lanes,
        "/events-stream": events_stream,
    }.items():
        app.add_api_route(path, endpoint, response_class=Response)
    app.add_api_route(VERDICT_PATH, post_verdict, methods=["POST"], response_class=Response)
    add_problem_handlers(app)
    return app


async def home(request: Request) -> Response:
    """Return the page with open incidents and odd sensors."""
    page = _page_of(request)
    state = page.state
    delta = await page.next_delta("")
    span = span_of(request.query_params, state.window)
    odd = await to_thread.run_sync(state.lanes, span.begin, span.end, span.limit)
    return _html(
        render(
            "home.html", delta=delta, span=span, odd=odd, window=state.window, scores=state.scores
        )
    )


async def sensor(request: Request) -> Response:
    """Return the page of the sensor `?id=`, with the signals of the episode `&episode=`."""
    page = _page_of(request)
    sensor_id = request.query_params.get("id", "")
    episode_id = request.query_params.get("episode", "")
    view = await to_thread.run_sync(sensor_view, page.state, sensor_id, episode_id)
    charts = await to_thread.run_sync(signal_charts, page.state, sensor_id)
    status = HTTPStatus.OK if view.is_known or charts.charts else HTTPStatus.NOT_FOUND
    hours = page.settings.page.hours
    return _html(render("sensor.html", view=view, charts=charts, hours=hours), status)


async def odd_sensors(request: Request) -> Response:
    """Return the ranked list of sensors in a span, as a part of the page."""
    state = _page_of(request).state
    span = span_of(request.query_params, state.window)
    odd = await to_thread.run_sync(state.lanes, span.begin, span.end, span.limit)
    return _html(render("odd.html", odd=odd, span=span, scores=state.scores))


async def lanes(request: Request) -> Response:
    """Return the lanes of a span for the script that draws them."""
    state = _page_of(request).state
    span = span_of(request.query_params, state.window)
    worst_lanes = await to_thread.run_sync(state.lanes, span.begin, span.end, span.limit)
    document = lanes_document(worst_lanes, (span.begin, span.end), state.step_seconds)
    return JSONResponse(document, headers=SECURITY_HEADERS)


async def events_stream(request: Request) -> Response:
    """Return the changes of the page as server-sent events."""
    page = _page_of(request)
    if page.streams >= MAX_STREAMS:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{MAX_STREAMS} browsers already follow the page: close one of them, or reload later",
            headers={"Retry-After": "10"},
        )
    known_id = request.headers.get("last-event-id") or request.query_params.get("after", "")
    page.streams += 1

    def on_end() -> None:
        page.streams -= 1

    return EventStream(known_id, page.next_delta, stopping=page.stopping, on_end=on_end)


def _page_of(request: Request) -> LivePage:
    page = request.app.state.page
    assert isinstance(page, LivePage)
    return page


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return HTMLResponse(text, status, SECURITY_HEADERS)
