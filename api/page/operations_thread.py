"""A thread that reads progress, models and refused records while the page is open."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from confluent_kafka import KafkaException

from sensorwatch.api.page.operations import (
    ModelLine,
    Progress,
    RefusedReason,
    model_lines,
    read_progress,
    read_refused,
)
from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.runtime.setting_keys import Settings

INTERVAL_SECONDS = 5.0
ROUNDS_PER_REFUSED_READ = 6
"""The refused records are read once in this number of rounds, because reading them costs more."""
WATCHED_SECONDS = 30.0
"""Nothing is read if no browser asked for the page within this time."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operations:
    """What the newest round of reading returned."""

    progress: Progress | None = None
    progress_problem: str = ""
    """The reason why the progress is not known."""
    models: tuple[ModelLine, ...] = ()
    models_problem: str = ""
    refused: tuple[RefusedReason, ...] | None = None
    """None until the records were read."""
    refused_problem: str = ""


class OperationsThread:
    """Reads operations every few seconds, but only while the page is open in a browser."""

    def __init__(self, settings: Settings, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings, self._clock = settings, clock
        self._registry = Registry(settings.registry.path)
        self._stopping, self._wake_up = threading.Event(), threading.Event()
        self._watched_at = -float("inf")
        self._thread = threading.Thread(target=self._run, name="page-operations", daemon=True)
        self.newest = Operations()
        """The newest results. The object is replaced by each round."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float) -> None:
        """Stop the thread, and wait at most `timeout` seconds for its end."""
        self._stopping.set()
        self._wake_up.set()
        self._thread.join(timeout)

    def note_viewer(self) -> None:
        """Record that a browser shows the page now."""
        self._watched_at = self._clock()
        self._wake_up.set()

    def _run(self) -> None:
        count = 0
        while not self._stopping.is_set():
            if self._clock() - self._watched_at > WATCHED_SECONDS:
                self._wake_up.clear()
                self._wake_up.wait()
                continue
            self.read_once(with_refused=count % ROUNDS_PER_REFUSED_READ == 0)
            count += 1
            self._stopping.wait(INTERVAL_SECONDS)

    def read_once(self, *, with_refused: bool) -> None:
        """Read everything once; keep the problem in place of a result that cannot be read."""
        settings, newest = self._settings, self.newest
        models, models_problem = _read_or_problem(
            lambda: model_lines(self._registry, settings.registry.model)
        )
        newest = replace(newest, models=tuple(models or ()), models_problem=models_problem)
        # The models need no broker, so they are shown before the broker answers.
        self.newest = newest
        progress, progress_problem = _read_or_problem(
            lambda: read_progress(settings, newest.progress)
        )
        newest = replace(newest, progress=progress, progress_problem=progress_problem)
        self.newest = newest
        if with_refused:
            refused, refused_problem = _read_or_problem(
                lambda: read_refused(settings.kafka, settings.topics.dead_letters)
            )
            self.newest = replace(
                newest,
                refused=None if refused is None else tuple(refused),
                refused_problem=refused_problem,
            )


def _read_or_problem(read: Callable[[], T]) -> tuple[T | None, str]:
    """Return the result of `read`, or None and the problem."""
    try:
        return read(), ""
    except (SensorwatchError, KafkaException, OSError) as error:
        return None, str(error)
