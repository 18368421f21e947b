"""What the service needs of the live page, in whichever process it runs."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from starlette.types import Receive, Scope, Send

from sensorwatch.common.runtime.setting_keys import Settings

ModelInUse = Callable[[], str | None]
"""Returns the id of the model version that answers requests, or None without one."""


class PageBackend(Protocol):
    """The live page of one service; it exists as long as the application runs."""

    settings: Settings
    stopping: asyncio.Event
    """Set when the service stops, so that the streams end."""

    @property
    def is_enabled(self) -> bool:
        """Return whether there is a page."""

    def start(self) -> None:
        """Start to read topics; do nothing if the page is switched off."""

    async def stop(self) -> None:
        """End all streams and stop reading."""

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that may see the page."""


MakePage = Callable[[Settings, ModelInUse], PageBackend]
