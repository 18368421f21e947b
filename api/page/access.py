"""Decides who may see the page: clients with the API key; without a key, only this computer."""

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

from starlette.requests import Request
from starlette.responses import Response

from sensorwatch.api.api_key import has_valid_key

COOKIE_NAME = "sensorwatch_page"
SESSION_SECONDS = 12 * 3_600
"""After this time the page asks for the key again."""
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
_LOCAL_NAMES = ("localhost", "localhost.")


def is_local_request(request: Request) -> bool:
    """Return whether a request comes from this computer and names this computer as its host.

    The name of the host is checked too. Otherwise a page from the internet could let its own host
    name point to the loopback address, and then read this page (DNS rebinding).
    """
    client_host = request.client.host if request.client else ""
    return _is_loopback(client_host) and _is_loopback(request.url.hostname or "")


def is_request_to_published_port(request: Request) -> bool:
    """Return whether a request came through a port that a container publishes on loopback.

    The client then has an address of the container's private network. The host is checked for the
    same reason as in `is_local_request`.
    """
    client_host = request.client.host if request.client else ""
    return _is_private(client_host) and _is_loopback(request.url.hostname or "")


def may_see_page(
    request: Request,
    key: bytes | None,
    *,
    published_on_loopback: bool = False,
    clock: Callable[[], float] = time.time,
) -> bool:
    """Return whether a request may see the page.

    `published_on_loopback`: whether this process runs in a container whose port is published on a
    loopback address only, so that requests from the private network come from this computer.
    """
    if key is None:
        return is_local_request(request) or (
            published_on_loopback and is_request_to_published_port(request)
        )
    return has_valid_key(request, key) or _has_valid_session(request, key, clock())


def start_session(
    response: Response, request: Request, key: bytes, *, clock: Callable[[], float] = time.time
) -> None:
    """Add a cookie to a response: with it, the browser may see the page for `SESSION_SECONDS`.

    The cookie contains its end time and a signature, but not the key.
    """
    end = str(int(clock()) + SESSION_SECONDS)
    response.set_cookie(
        COOKIE_NAME,
        f"{end}.{_signature(end, key)}",
        max_age=SESSION_SECONDS,
        path="/",
        secure=request.url.scheme == "https",
        httponly=True,
        samesite="strict",
    )


def _has_valid_session(request: Request, key: bytes, now: float) -> bool:
    try:
        cookie = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE_NAME)
    except CookieError:
        return False
    end, _, signature = (cookie.value if cookie else "").partition(".")
    is_signed = hmac.compare_digest(signature.encode(), _signature(end, key).encode())
    return is_signed and end.isascii() and end.isdecimal() and now < int(end)


def _signature(end: str, key: bytes) -> str:
    return hmac.new(key, f"sensorwatch page {end}".encode(), hashlib.sha256).hexdigest()


def _is_private(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_private
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    if host.lower() in _LOCAL_NAMES:
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
