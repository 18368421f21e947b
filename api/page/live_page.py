"""The live page of one service: its state, its threads and its clients."""

import asyncio
import secrets
from datetime import UTC, datetime

from anyio import CapacityLimiter, to_thread

from sensorwatch.api.champion_follower import ChampionFollower
from sensorwatch.api.page.operations import MAX_REFUSED_RECORDS
from sensorwatch.api.page.operations_thread import OperationsThread
from sensorwatch.api.page.page_feed import Delta, PageFeed, Parts
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.page.topic_thread import TopicThread
from sensorwatch.common.runtime.setting_keys import Settings

MAX_STREAMS = 50
"""At most this number of browsers get changes at the same time."""
STOP_SECONDS = 0.5
"""Longest wait for the end of a thread at the stop of the service."""


class LivePage:
    """What all requests for the page share; it exists as long as the application runs."""

    def __init__(self, settings: Settings, follower: ChampionFollower) -> None:
        self.settings, self._follower = settings, follower
        self.is_enabled = settings.page.hours > 0
        self.state = PageState(settings.page.hours)
        self.feed = PageFeed(self.state, self._other_parts)
        self.stopping = asyncio.Event()
        """Set when the service stops, so that the streams end."""
        self.streams = 0
        """Number of browsers that get changes."""
        self.form_secret = secrets.token_bytes(32)
        """Key of the tokens in the forms of the page; after a restart, open forms are refused."""
        # One thread is enough, because all browsers get the same parts.
        self._threads = CapacityLimiter(1)
        self._topic_thread = TopicThread(settings.kafka, settings.topics.anomalies, self.state)
        self._operations_thread = OperationsThread(settings)

    def start(self) -> None:
        """Start to read the anomaly topic; do nothing if the page is switched off."""
        if self.is_enabled:
            self._topic_thread.start()
            self._operations_thread.start()

    async def stop(self) -> None:
        """End all streams and stop reading."""
        self.stopping.set()
        if self.is_enabled:
            await to_thread.run_sync(self._topic_thread.stop, STOP_SECONDS)
            await to_thread.run_sync(self._operations_thread.stop, STOP_SECONDS)

    async def next_delta(self, known_id: str) -> Delta:
        """Return the parts that changed after the revision `known_id`."""
        self._operations_thread.note_viewer()
        return await to_thread.run_sync(self.feed.delta_since, known_id, limiter=self._threads)

    def _other_parts(self) -> Parts:
        served_version = self._follower.served_version
        written_at = self.state.newest_written_at
        operations = self._operations_thread.newest
        return {
            "models": render("models.html", operations=operations),
            "refused": render(
                "refused.html", operations=operations, max_records=MAX_REFUSED_RECORDS
            ),
            "status": render(
                "status.html",
                operations=operations,
                connection=self.state.connection,
                newest=None if written_at is None else datetime.fromtimestamp(written_at, UTC),
                model=served_version.version.manifest.id if served_version else None,
                hours=self.settings.page.hours,
            ),
        }
