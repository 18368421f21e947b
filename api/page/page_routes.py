"""The routes of the live page."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from anyio import to_thread
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from sensorwatch.api.api_key import is_key
from sensorwatch.api.page.access import SECURITY_HEADERS, may_see_page, start_session
from sensorwatch.api.page.event_stream import EventStream
from sensorwatch.api.page.live_page import MAX_STREAMS
from sensorwatch.api.page.page_templates import STATIC_FOLDER, render
from sensorwatch.api.page.sensor_view import sensor_view
from sensorwatch.api.page.span_view import lanes_document, span_of
from sensorwatch.api.page.verdict_routes import post_verdict, verdict_form
from sensorwatch.api.problem_details import Problem
from sensorwatch.api.request_body import read_limited_body
from sensorwatch.api.service import service_of

STATIC_PATH = "/page"
LOGIN_PATH = "/login"
VERDICT_PATH = "/verdict"
MAX_FORM_BYTES = 4_096
WRONG_KEY_SECONDS = 0.5
"""The answer to a wrong key takes this time, so that guessing is slow."""

Endpoint = Callable[[Request], Awaitable[Response]]


def add_page_routes(app: FastAPI) -> None:
    """Add the page, its scripts and its streams to `app`. None of them is in the OpenAPI document.

    The page answers with HTML, and its addresses may change in any version.
    """
    for path, endpoint in {
        "/": _html_endpoint(home),
        "/sensor": _html_endpoint(sensor),
        "/odd": _html_endpoint(odd_sensors),
        VERDICT_PATH: _html_endpoint(verdict_form),
        "/lanes": _data_endpoint(lanes),
        "/events-stream": _data_endpoint(events_stream),
        LOGIN_PATH: login_form,
    }.items():
        app.add_api_route(path, endpoint, include_in_schema=False, response_class=Response)
    app.add_api_route(
        LOGIN_PATH, login, methods=["POST"], include_in_schema=False, response_class=Response
    )
    app.add_api_route(
        VERDICT_PATH,
        _html_endpoint(post_verdict),
        methods=["POST"],
        include_in_schema=False,
        response_class=Response,
    )
    app.mount(STATIC_PATH, StaticFiles(directory=STATIC_FOLDER))


async def home(request: Request) -> Response:
    """Return the page with open incidents and odd sensors."""
    service = service_of(request)
    page = service.page
    if not page.is_enabled:
        return _notice(HTTPStatus.OK, "The page is switched off", "Set [page] hours to show it.")
    delta = await page.next_delta("")
    span = span_of(request.query_params, page.state.window)
    odd = await to_thread.run_sync(page.state.lanes, span.begin, span.end, span.limit)
    return _html(render("home.html", delta=delta, span=span, odd=odd, window=page.state.window))


async def sensor(request: Request) -> Response:
    """Return the page of the sensor `?id=`, with the signals of the episode `&episode=`."""
    page = service_of(request).page
    sensor_id = request.query_params.get("id", "")
    episode_id = request.query_params.get("episode", "")
    view = await to_thread.run_sync(sensor_view, page.state, sensor_id, episode_id)
    status = HTTPStatus.OK if view.is_known else HTTPStatus.NOT_FOUND
    return _html(render("sensor.html", view=view, hours=page.settings.page.hours), status)


async def odd_sensors(request: Request) -> Response:
    """Return the ranked list of sensors with events in a span, as a part of the page."""
    state = service_of(request).page.state
    span = span_of(request.query_params, state.window)
    odd = await to_thread.run_sync(state.lanes, span.begin, span.end, span.limit)
    return _html(render("odd.html", odd=odd, span=span))


async def lanes(request: Request) -> Response:
    """Return the lanes of a span for the script that draws them."""
    state = service_of(request).page.state
    span = span_of(request.query_params, state.window)
    document = await to_thread.run_sync(lanes_document, state, span)
    return JSONResponse(document, headers=SECURITY_HEADERS)


async def events_stream(request: Request) -> Response:
    """Return the changes of the page as server-sent events."""
    page = service_of(request).page
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


async def login_form(request: Request) -> Response:
    """Return the form that asks for the API key."""
    if may_see_page(request, service_of(request).key):
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    return _html(render("login.html", is_wrong=False))


async def login(request: Request) -> Response:
    """Check the key of the form, and start a session of the browser."""
    key = service_of(request).key
    if key is None:
        return RedirectResponse("/", HTTPStatus.SEE_OTHER)
    body = await read_limited_body(request, max_bytes=MAX_FORM_BYTES)
    sent_keys = parse_qs(body.decode("latin-1"), encoding="latin-1").get("key", [""])
    if not is_key(sent_keys[0], key):
        await asyncio.sleep(WRONG_KEY_SECONDS)
        return _html(render("login.html", is_wrong=True), HTTPStatus.FORBIDDEN)
    response = RedirectResponse("/", HTTPStatus.SEE_OTHER)
    start_session(response, request, key)
    return response


def _html_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that asks for the key, or says why the page is not shown."""

    async def checked_endpoint(request: Request) -> Response:
        key = service_of(request).key
        if may_see_page(request, key):
            return await endpoint(request)
        if key is not None:
            return RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
        return _notice(
            HTTPStatus.FORBIDDEN,
            "The page is shown on this computer only",
            "No API key is set, so the page answers only requests to localhost. Open it on the "
            "computer of the service, or set [api] api_key_file to use it from elsewhere.",
        )

    return checked_endpoint


def _data_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that refuses requests without access as problem details."""

    async def checked_endpoint(request: Request) -> Response:
        key = service_of(request).key
        if may_see_page(request, key):
            return await endpoint(request)
        if key is not None:
            raise Problem(HTTPStatus.UNAUTHORIZED, "a key is needed: open / and enter it")
        raise Problem(
            HTTPStatus.FORBIDDEN,
            "no API key is set, so the page answers requests to localhost only",
        )

    return checked_endpoint


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return HTMLResponse(text, status, SECURITY_HEADERS)


def _notice(status: HTTPStatus, title: str, text: str) -> Response:
    return _html(render("notice.html", title=title, text=text), status)
