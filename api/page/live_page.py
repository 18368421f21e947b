"""The live page of one service: its state, its threads and its clients."""

import asyncio
import secrets
from datetime import UTC, datetime

from anyio import CapacityLimiter, to_thread

from sensorwatch.api.page.operations import MAX_REFUSED_RECORDS
from sensorwatch.api.page.operations_thread import OperationsThread
from sensorwatch.api.page.page_backend import ModelInUse
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

    def __init__(self, settings: Settings, model_in_use: ModelInUse) -> None:
        self.settings, self._model_in_use = settings, model_in_use
        self._has_scores = settings.consumer.scores
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
        self._scores_thread = TopicThread(settings.kafka, settings.scores_topic, self.state.scores)
        self._operations_thread = OperationsThread(settings)

    @property
    def is_enabled(self) -> bool:
        """Return whether there is a page."""
        return self.settings.page.hours > 0

    def start(self) -> None:
        """Start to read the anomaly topic; do nothing if the page is switched off."""
        if self.is_enabled:
            for thread in self._needed_threads():
                thread.start()

    async def stop(self) -> None:
        """End all streams and stop reading."""
        self.stopping.set()
        if self.is_enabled:
            for thread in self._needed_threads():
                await to_thread.run_sync(thread.stop, STOP_SECONDS)

    def _needed_threads(self) -> list[TopicThread | OperationsThread]:
        threads: list[TopicThread | OperationsThread] = [self._topic_thread]
        if self._has_scores:
            threads.append(self._scores_thread)
        return [*threads, self._operations_thread]

    async def next_delta(self, known_id: str) -> Delta:
        """Return the parts that changed after the revision `known_id`."""
        self._operations_thread.note_viewer()
        return await to_thread.run_sync(self.feed.delta_since, known_id, limiter=self._threads)

    def _other_parts(self) -> Parts:
        written_at = self.state.newest_written_at
        operations = self._operations_thread.newest
        return {
            "lanes-hint": render(
                "lanes_hint.html",
                scores=self.state.scores,
                is_switched_on=self._has_scores,
                step_seconds=self.state.step_seconds,
                hours=self.settings.page.hours,
            ),
            "models": render("models.html", operations=operations),
            "refused": render(
                "refused.html", operations=operations, max_records=MAX_REFUSED_RECORDS
            ),
            "status": render(
                "status.html",
                operations=operations,
                connection=self.state.connection,
                newest=None if written_at is None else datetime.fromtimestamp(written_at, UTC),
                model=self._model_in_use(),
                hours=self.settings.page.hours,
            ),
        }
