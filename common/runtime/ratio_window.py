"""Computes a ratio over a sliding window of time."""

from collections import deque


class WindowedRatio:
    """The share of hits among the rows of the last `seconds`.

    The caller passes the time as monotonic seconds. Rows are counted per second, so the memory use
    does not depend on the number of rows.
    """

    def __init__(self, seconds: int = 300) -> None:
        self._seconds = seconds
        self._slots: deque[tuple[int, int, int]] = deque()  # second, hits, rows
        self._hits = 0
        self._rows = 0

    def add(self, hits: int, rows: int, *, now: float) -> None:
        """Count `rows` rows, of which `hits` rows were hits."""
        second = int(now)
        if self._slots and self._slots[-1][0] >= second:
            last_second, last_hits, last_rows = self._slots.pop()
            self._slots.append((last_second, last_hits + hits, last_rows + rows))
        else:
            self._slots.append((second, hits, rows))
        self._hits += hits
        self._rows += rows

    def ratio(self, *, now: float) -> float:
        """Return the share of hits, from 0 to 1; 0 if the window has no rows."""
        last_expired_second = int(now) - self._seconds
        while self._slots and self._slots[0][0] <= last_expired_second:
            _, hits, rows = self._slots.popleft()
            self._hits -= hits
            self._rows -= rows
        return self._hits / self._rows if self._rows else 0.0
