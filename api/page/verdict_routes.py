"""The routes of the page on which a person says whether an alarm was right."""

import hashlib
import hmac
import time
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sensorwatch.api.page.access import SECURITY_HEADERS
from sensorwatch.api.page.live_page import LivePage
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.request_body import read_limited_body
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.verdict_settings import Scope
from sensorwatch.common.verdicts.giving import GivenVerdict, NewVerdict, give_verdict
from sensorwatch.common.verdicts.verdict import (
    MAX_NOTE,
    MAX_WHO,
    Verdict,
    VerdictSource,
)

VERDICT_PATH = "/verdict"
MAX_FORM_BYTES = 32_768
DEFAULT_WHO = "page"
"""The user of a verdict if the form names none."""
_FORM_VERDICTS = (Verdict.TRUE, Verdict.FALSE, Verdict.EXPECTED)
# With the page's own policy, `no-referrer`, a browser would not send the origin of the form.
_FORM_HEADERS = {**SECURITY_HEADERS, "Referrer-Policy": "same-origin"}

_log = logger("api")


async def verdict_form(request: Request) -> Response:
    """Return the form for a verdict on the episode `?episode=`; `&verdict=` is selected."""
    episode = _episode(request, request.query_params.get("episode", ""))
    if episode is None:
        return _unknown_episode()
    return _form(request, episode, selected=request.query_params.get("verdict", ""))


async def post_verdict(request: Request) -> Response:
    """Store the verdict of the form, and say what the policy learned from it.

    A form of another site is refused: the browser names the origin of the request, and the form
    contains a token that only this service can compute.
    """
    body = await read_limited_body(request, max_bytes=MAX_FORM_BYTES)
    fields = {
        name: values[0]
        for name, values in parse_qs(body.decode(errors="replace"), max_num_fields=20).items()
    }
    episode = _episode(request, fields.get("episode", ""))
    if episode is None:
        return _unknown_episode()
    token = fields.get("token", "").encode()
    is_own_form = hmac.compare_digest(token, _token(request, episode.id).encode())
    if not (is_from_this_site(request) and is_own_form):
        problem = "This form is too old, or is not a form of this page. Send it again."
        return _form(request, episode, problem=problem, status=HTTPStatus.FORBIDDEN)
    try:
        new = _new_verdict(fields)
    except ValueError:
        problem = "Select one of the verdicts."
        return _form(request, episode, problem=problem, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    settings = _page(request).settings
    return await _store(request, settings, episode, new)


def is_from_this_site(request: Request) -> bool:
    """Return whether a request comes from a page of this service, as far as the browser says it.

    Browsers send `Sec-Fetch-Site`. Old ones send only `Origin`, which must have the host of the
    request. A request without both is not from a current browser.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


async def _store(
    request: Request, settings: Settings, episode: EpisodeState, new: NewVerdict
) -> Response:
    def store() -> GivenVerdict:
        return give_verdict(settings, episode, new, now=time.time_ns() // 1_000)

    try:
        given = await to_thread.run_sync(store)
    except (SensorwatchError, OSError) as error:
        _log.error("verdict not stored", episode=episode.id, why=str(error))
        problem = f"The verdict was not stored completely: {error}"
        return _form(request, episode, problem=problem, status=HTTPStatus.SERVICE_UNAVAILABLE)
    _log.info("verdict stored", episode=episode.id, verdict=given.record.verdict, who=new.who)
    return _html(render("verdict_stored.html", episode=episode, given=given))


def _new_verdict(fields: dict[str, str]) -> NewVerdict:
    """Return the verdict of the form; raises ValueError if no verdict is selected."""
    verdict = Verdict(fields.get("verdict", ""))
    if verdict not in _FORM_VERDICTS:
        raise ValueError(verdict)
    return NewVerdict(
        verdict,
        fields.get("who", "").strip()[:MAX_WHO] or DEFAULT_WHO,
        VerdictSource.PAGE,
        fields.get("note", "")[:MAX_NOTE],
        Scope.GROUP if fields.get("scope") == Scope.GROUP else None,
    )


def _form(
    request: Request,
    episode: EpisodeState,
    *,
    selected: str = "",
    problem: str = "",
    status: HTTPStatus = HTTPStatus.OK,
) -> Response:
    text = render(
        "verdict.html",
        episode=episode,
        token=_token(request, episode.id),
        selected=selected,
        problem=problem,
        settings=_page(request).settings.verdicts,
        max_note=MAX_NOTE,
        max_who=MAX_WHO,
    )
    return _html(text, status)


def _unknown_episode() -> Response:
    text = (
        "The page no longer has this alarm. `sensorwatch verdict` can judge any alarm that the "
        "topic still has."
    )
    return _html(
        render("notice.html", title="This alarm is not known", text=text, reload_seconds=None),
        HTTPStatus.NOT_FOUND,
    )


def _episode(request: Request, episode_id: str) -> EpisodeState | None:
    episodes = _page(request).state.episodes()
    return next((episode for episode in episodes if episode.id == episode_id), None)


def _page(request: Request) -> LivePage:
    page = request.app.state.page
    assert isinstance(page, LivePage)
    return page


def _token(request: Request, episode_id: str) -> str:
    secret = _page(request).form_secret
    return hmac.new(secret, f"verdict {episode_id}".encode(), hashlib.sha256).hexdigest()


def _html(text: str, status: HTTPStatus = HTTPStatus.OK) -> Response:
    return HTMLResponse(text, status, _FORM_HEADERS)
