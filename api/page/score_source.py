"""The history of the scores, and the connection to the scores topic."""

from collections.abc import Iterable, Iterator

from sensorwatch.api.page.connection import Connection
from sensorwatch.api.page.score_history import ReceivedScores, ScoreHistory
from sensorwatch.common.kafka.records import Record
from sensorwatch.common.kafka.score_records import decode_scores
from sensorwatch.common.runtime.logs import logger

_log = logger("page")


class ScoreSource:
    """The history that one thread fills from the scores topic, and requests read."""

    def __init__(
        self, window_seconds: int, step_seconds: int, *, clock_tolerance_seconds: float
    ) -> None:
        self.window_seconds = window_seconds
        self.history = ScoreHistory(
            window_seconds, step_seconds, clock_tolerance_seconds=clock_tolerance_seconds
        )
        self.connection = Connection()
        """The object is replaced by each change."""
        self._has_logged_damage = False

    @property
    def has_rows(self) -> bool:
        """Return whether there is a scored row in the window."""
        return self.history.newest_time is not None

    def connect(self) -> None:
        """Forget all rows, because they are read again from the begin of the window."""
        self.history.forget()
        self.connection = Connection(is_reached=True)

    def disconnect(self, problem: str) -> None:
        """Keep the rows, and record why no new rows arrive."""
        self.connection = Connection(problem=problem)

    def complete(self) -> None:
        """Record that all older rows were read."""
        if not self.connection.is_complete:
            self.connection = Connection(is_reached=True, is_complete=True)

    def add_records(self, records: Iterable[Record]) -> None:
        """Add records of the topic; raises DataError if a newer version wrote one of them.

        Damaged records are left out.
        """
        self.history.add(self._received_scores(records))

    def _received_scores(self, records: Iterable[Record]) -> Iterator[ReceivedScores]:
        for record in records:
            try:
                scores = decode_scores(record.value())
            except ValueError as error:
                if not self._has_logged_damage:
                    self._has_logged_damage = True
                    _log.warning("damaged score records are left out", reason=str(error))
                continue
            yield ReceivedScores(scores.aggregates, record.timestamp()[1] / 1000)
