"""From the first row to the last, in seconds and in seconds of CPU, printed as JSON."""

import json
import time


class Clock:
    """Started by the first rows, printed at the end."""

    def __init__(self) -> None:
        self.rows = self.events = self.dead_letters = 0
        self._began: tuple[float, float] | None = None
        self._ended = (0.0, 0.0)

    def start(self) -> None:
        """The first row is here."""
        if self._began is None:
            self._began = _now()

    def done(self, rows: int, events: int = 0, dead_letters: int = 0) -> None:
        """So many more rows are dealt with."""
        self.rows += rows
        self.events += events
        self.dead_letters += dead_letters
        self._ended = _now()

    def print(self) -> None:
        """Print what the contest reads, as the last line."""
        began = self._began or self._ended
        found = {
            "rows": self.rows,
            "seconds": self._ended[0] - began[0],
            "cpu_seconds": self._ended[1] - began[1],
            "events": self.events,
            "dead_letters": self.dead_letters,
        }
        print(json.dumps(found), flush=True)


def _now() -> tuple[float, float]:
    # process_time counts all threads of the process, the client's too.
    return time.perf_counter(), time.process_time()
