"""A live page in the process of the service, so that tests can change its state."""

from starlette.types import Receive, Scope, Send

from sensorwatch.api.page.live_page import LivePage
from sensorwatch.api.page.page_app import create_page_app
from sensorwatch.api.page.page_backend import ModelInUse
from sensorwatch.common.runtime.setting_keys import Settings


class LocalPage(LivePage):
    """Answers requests with the application that the process of the page serves."""

    def __init__(self, settings: Settings, model_in_use: ModelInUse) -> None:
        super().__init__(settings, model_in_use)
        self._app = create_page_app(self)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await self._app({**scope, "app": self._app}, receive, send)
