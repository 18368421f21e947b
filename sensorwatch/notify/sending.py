"""Sends the messages of one target on a thread of its own."""

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sensorwatch.notify.alerts import PlannedAlert
from sensorwatch.notify.changes import Change
from sensorwatch.notify.http_client import Answer, Outcome

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 60.0

PlannedMessage = PlannedAlert | Change


@dataclass(slots=True)
class SendResult:
    """What happened to the messages of one job."""

    accepted: list[PlannedMessage] = field(default_factory=list)
    refused: list[tuple[PlannedMessage, Answer]] = field(default_factory=list)
    failed: list[tuple[PlannedMessage, Answer]] = field(default_factory=list)
    """Messages that are sent again."""
    unsent: list[PlannedMessage] = field(default_factory=list)
    """Messages that were not sent, because an earlier request failed."""

    @property
    def failure(self) -> Answer | None:
        """Return the last failure, or None if no request failed."""
        return self.failed[-1][1] if self.failed else None


SendJob = Callable[[], SendResult]


def send_alerts(
    alerts: Sequence[PlannedAlert], post: Callable[[list[PlannedAlert]], Answer], batch_size: int
) -> SendResult:
    """Send alerts in batches. A refused batch is split, to find the refused alerts.

    Alertmanager stores the valid alerts of a batch that it refuses, so another copy of them changes
    nothing.
    """
    result = SendResult()
    batches = [list(alerts[i : i + batch_size]) for i in range(0, len(alerts), batch_size)]
    batches.reverse()
    while batches:
        batch = batches.pop()
        answer = post(batch)
        if answer.outcome is Outcome.ACCEPTED:
            result.accepted += batch
        elif answer.outcome is not Outcome.REFUSED:
            result.failed += [(alert, answer) for alert in batch]
            result.unsent += [alert for later in reversed(batches) for alert in later]
            break
        elif len(batch) == 1:
            result.refused.append((batch[0], answer))
        else:
            middle = len(batch) // 2
            batches += [batch[middle:], batch[:middle]]
    return result


def send_changes(changes: Sequence[Change], post: Callable[[Change], Answer]) -> SendResult:
    """Send changes in order, one request each.

    A request without an answer ends the job. After an answer with an error, the next change is
    sent, so that one change that the target cannot process does not stop the others.
    """
    result = SendResult()
    for index, change in enumerate(changes):
        answer = post(change)
        if answer.outcome is Outcome.ACCEPTED:
            result.accepted.append(change)
        elif answer.outcome is Outcome.REFUSED:
            result.refused.append((change, answer))
        else:
            result.failed.append((change, answer))
            if not answer.status:
                result.unsent += changes[index + 1 :]
                break
    return result


class Sender:
    """Runs one job at a time on a thread, and waits longer after each failure."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        """Start the thread; `clock` returns monotonic seconds."""
        self._clock = clock
        self._jobs: queue.SimpleQueue[SendJob] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[SendResult | Exception] = queue.SimpleQueue()
        self._failures = 0
        self._paused_until = clock()
        self._is_busy = False
        threading.Thread(target=self._run, name=f"send {name}", daemon=True).start()

    @property
    def is_free(self) -> bool:
        """Return whether a job can be started now."""
        return not self._is_busy and self._clock() >= self._paused_until

    @property
    def is_running(self) -> bool:
        """Return whether a job has been started and has no result yet."""
        return self._is_busy and self._results.empty()

    def start(self, job: SendJob) -> None:
        """Run a job on the thread."""
        self._is_busy = True
        self._jobs.put(job)

    def take_result(self) -> SendResult | None:
        """Return the result of the job if it has ended, else None.

        Raises the exception with which the job has ended, if it raised one.
        """
        try:
            result = self._results.get_nowait()
        except queue.Empty:
            return None
        if isinstance(result, Exception):
            raise result
        self._is_busy = False
        self._failures = 0 if result.failure is None else self._failures + 1
        if self._failures:
            pause = FIRST_PAUSE_SECONDS * 2 ** min(self._failures - 1, 10)
            self._paused_until = self._clock() + min(pause, LONGEST_PAUSE_SECONDS)
        return result

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            try:
                self._results.put(job())
            except Exception as error:  # noqa: BLE001 - `take_result` raises it on the main thread
                self._results.put(error)
