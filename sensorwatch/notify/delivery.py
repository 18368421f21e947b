"""Plans the messages of a target, gives them to its thread, and records the results."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sensorwatch.common.runtime.logs import logger
from sensorwatch.notify.alerts import PlannedAlert
from sensorwatch.notify.http_client import Post
from sensorwatch.notify.incident_book import IncidentBook, Notice
from sensorwatch.notify.metrics import NotifyMetrics
from sensorwatch.notify.policy import NotifyPolicy
from sensorwatch.notify.routing import Target
from sensorwatch.notify.sending import Sender, SendJob, SendResult

MIN_PAUSE_SECONDS = 1.0
"""Shortest time between two jobs of a target."""
PAUSE_FACTOR = 4
"""After planning, a target waits at least this number of times as long as the planning took."""

_log = logger("notify")


@dataclass(frozen=True, slots=True)
class Clocks:
    """The clocks of the notifier."""

    now: Callable[[], datetime]
    """Wall-clock time, UTC."""
    monotonic: Callable[[], float]
    """Seconds."""


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What all deliveries share."""

    book: IncidentBook
    policy: NotifyPolicy
    metrics: NotifyMetrics
    clocks: Clocks
    post: Post


class Delivery(ABC):
    """Sends to one target. A subclass defines the messages.

    Call `collect`, `prepare`, then save the episodes that both returned, then call `send`. So a
    message is sent only after the broker has stored that it will be sent.
    """

    def __init__(self, target: Target, context: DeliveryContext) -> None:
        """Start the thread of the target."""
        self.target = target
        self.context = context
        self._sender = Sender(target.name, context.clocks.monotonic)
        self._next_job = self._next_full = context.clocks.monotonic()
        self._is_changed = True
        self._prepared_job: SendJob | None = None

    @property
    def is_busy(self) -> bool:
        """Return whether a job runs whose result was not collected."""
        return self._sender.is_running

    def note_change(self) -> None:
        """Record that an incident may have changed."""
        self._is_changed = True

    def collect(self) -> set[str]:
        """Record the result of the last job. Return the ids of the episodes that changed."""
        result = self._sender.take_result()
        if result is None:
            return set()
        self._count(result)
        # The job may not have contained all messages.
        self._is_changed = True
        if result.failure is not None:
            self._next_full = self.context.clocks.monotonic()
        return self.record(result)

    def prepare(self, extra_alerts: Sequence[PlannedAlert] = ()) -> set[str]:
        """Prepare a job if the target needs messages now. Return the ids of the changed episodes.

        `extra_alerts`: alerts that Alertmanager gets in addition to those of incidents.
        """
        monotonic = self.context.clocks.monotonic()
        is_full = monotonic >= self._next_full
        is_due = is_full or self._is_changed
        if not self._sender.is_free or monotonic < self._next_job or not is_due:
            return set()
        self._is_changed = False
        if is_full:
            self._next_full = monotonic + self.context.policy.interval_seconds
        self._prepared_job, changed_ids = self.plan(extra_alerts, is_full=is_full)
        end = self.context.clocks.monotonic()
        self._next_job = end + max(MIN_PAUSE_SECONDS, PAUSE_FACTOR * (end - monotonic))
        return changed_ids

    def send(self) -> None:
        """Start the prepared job, if there is one."""
        if self._prepared_job is not None:
            self._sender.start(self._prepared_job)
            self._prepared_job = None

    @abstractmethod
    def plan(
        self, extra_alerts: Sequence[PlannedAlert], *, is_full: bool
    ) -> tuple[SendJob | None, set[str]]:
        """Return the next job, or None, and the ids of the episodes that changed.

        `is_full`: whether messages that the target already has are sent again.
        """

    @abstractmethod
    def record(self, result: SendResult) -> set[str]:
        """Record what the target knows now. Return the ids of the episodes that changed."""

    def set_notice(self, episode_ids: Iterable[str], notice: Notice) -> set[str]:
        """Record what the target knows of episodes. Return the ids of those that changed."""
        return set(self.context.book.set_notice(episode_ids, self.target.key, notice))

    def _count(self, result: SendResult) -> None:
        metrics, name = self.context.metrics, self.target.name
        metrics.sent.labels(name).inc(len(result.accepted))
        metrics.refused.labels(name).inc(len(result.refused))
        for _message, answer in result.refused[:1]:
            _log.error(
                "the target refused a message",
                target=name,
                refused=len(result.refused),
                answer=answer.detail,
            )
        metrics.target_up.labels(name).set(result.failure is None)
        if result.failure is not None:
            metrics.retried.labels(name).inc(len(result.failed))
            _log.warning(
                "the target did not accept messages; they are sent again",
                target=name,
                messages=len(result.failed) + len(result.unsent),
                reason=result.failure.detail,
            )
