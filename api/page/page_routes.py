"""The routes of the live page: they check access, and pass requests to the page."""

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

from sensorwatch.api.api_key import is_key
from sensorwatch.api.page.access import SECURITY_HEADERS, may_see_page, start_session
from sensorwatch.api.page.page_backend import PageBackend
from sensorwatch.api.page.page_templates import STATIC_FOLDER, render
from sensorwatch.api.page.verdict_routes import MAX_FORM_BYTES as MAX_VERDICT_BYTES
from sensorwatch.api.page.verdict_routes import VERDICT_PATH
from sensorwatch.api.problem_details import Problem
from sensorwatch.api.request_body import read_limited_body
from sensorwatch.api.service import service_of

STATIC_PATH = "/page"
LOGIN_PATH = "/login"
MAX_FORM_BYTES = 4_096
WRONG_KEY_SECONDS = 0.5
"""The answer to a wrong key takes this time, so that guessing is slow."""

Endpoint = Callable[[Request], Awaitable[Response]]


def add_page_routes(app: FastAPI) -> None:
    """Add the page, its scripts and its streams to `app`. None of them is in the OpenAPI document.

    The page answers with HTML, and its addresses may change in any version.
    """
    for path, endpoint in {
        "/": _html_endpoint(page_part),
        "/sensor": _html_endpoint(page_part),
        "/odd": _html_endpoint(page_part),
        VERDICT_PATH: _html_endpoint(page_part),
        "/lanes": _data_endpoint(page_part),
        "/events-stream": _data_endpoint(page_part),
        LOGIN_PATH: login_form,
    }.items():
        app.add_api_route(path, endpoint, include_in_schema=False, response_class=Response)
    app.add_api_route(
        LOGIN_PATH, login, methods=["POST"], include_in_schema=False, response_class=Response
    )
    app.add_api_route(
        VERDICT_PATH,
        _html_endpoint(page_form),
        methods=["POST"],
        include_in_schema=False,
        response_class=Response,
    )
    app.mount(STATIC_PATH, StaticFiles(directory=STATIC_FOLDER))


async def page_part(request: Request) -> Response:
    """Return a response of the process that renders the page."""
    page = service_of(request).page
    if not page.is_enabled:
        return _notice(HTTPStatus.OK, "The page is switched off", "Set [page] hours to show it.")
    return _Answer(page)


async def page_form(request: Request) -> Response:
    """Return the response of that process to a form."""
    body = await read_limited_body(request, max_bytes=MAX_VERDICT_BYTES)
    page = service_of(request).page
    return _Answer(page, body) if page.is_enabled else await page_part(request)


class _Answer(Response):
    """A response that the page sends by itself. `form`: the body of the request, already read."""

    def __init__(self, page: PageBackend, form: bytes | None = None) -> None:
        super().__init__()
        self._page, self._form = page, form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._page.answer(scope, self._with_form(receive), send)

    def _with_form(self, receive: Receive) -> Receive:
        """Return a function that receives the form first."""
        if self._form is None:
            return receive
        messages: list[Message] = [{"type": "http.request", "body": self._form}]

        async def receive_form() -> Message:
            return messages.pop() if messages else await receive()

        return receive_form


async def login_form(request: Request) -> Response:
    """Return the form that asks for the API key."""
    if _may_see_page(request):
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


def _may_see_page(request: Request) -> bool:
    service = service_of(request)
    published_on_loopback = service.page.settings.page.published_on_loopback
    return may_see_page(request, service.key, published_on_loopback=published_on_loopback)


def _html_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that asks for the key, or says why the page is not shown."""

    async def checked_endpoint(request: Request) -> Response:
        key = service_of(request).key
        if _may_see_page(request):
            return await endpoint(request)
        if key is not None:
            return RedirectResponse(LOGIN_PATH, HTTPStatus.SEE_OTHER)
        return _notice(
            HTTPStatus.FORBIDDEN,
            "The page is shown on this computer only",
            "No API key is set, so the page answers only requests to localhost. Open it on the "
            "computer of the service, or set [api] api_key_file to use it from elsewhere. In a "
            "container whose port is published on 127.0.0.1 only, set [page] published_on_loopback "
            "to true.",
        )

    return checked_endpoint


def _data_endpoint(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint that refuses requests without access as problem details."""

    async def checked_endpoint(request: Request) -> Response:
        key = service_of(request).key
        if _may_see_page(request):
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
    return _html(render("notice.html", title=title, text=text, reload_seconds=None), status)
