"""Count held values, and find signals that have had no value in any row for some minutes."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray
from prometheus_client import Counter

from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.rows.field_declarations import MissingPolicy
from sensorwatch.common.rows.schema import Schema

MIN_MISSING_SECONDS = 300.0
"""A signal is reported only if it has had no value for this time."""
MIN_MISSING_ROWS = 10
"""A signal is reported only if at least this number of rows had no value of it."""


def held_signals(schema: Schema) -> dict[str, int]:
    """Return the signals whose missing values are filled, each with its first model column."""
    return {
        signal.name: position
        for signal, position in zip(schema.signals, model_positions(schema.signals), strict=True)
        if schema.long_form or signal.missing is MissingPolicy.HOLD_LAST
    }


class HeldSignals:
    """The held values of each signal, over all sensors of a worker."""

    def __init__(self, held_values: Counter, clock: Callable[[], float]) -> None:
        self._held_values = held_values
        self._clock = clock
        self._missing_since: dict[str, float] = {}
        self._missing_rows: dict[str, int] = {}
        self._reported: set[str] = set()

    def count(self, names: list[str], is_held: NDArray[np.bool_]) -> Iterator[str]:
        """Count the held values of rows; yield a sentence for each signal that is newly missing.

        `names`: the signals that may be missing. `is_held`: shape (n, len(names)).
        """
        now, row_count = self._clock(), len(is_held)
        for name, held_rows in zip(names, is_held.sum(axis=0).tolist(), strict=True):
            self._held_values.labels(name).inc(held_rows)
            if row_count == 0:
                continue
            if held_rows < row_count:
                self._missing_since.pop(name, None)
                self._missing_rows.pop(name, None)
                self._reported.discard(name)
                continue
            missing_since = self._missing_since.setdefault(name, now)
            missing_rows = self._missing_rows.get(name, 0) + row_count
            self._missing_rows[name] = missing_rows
            is_due = now - missing_since >= MIN_MISSING_SECONDS and missing_rows >= MIN_MISSING_ROWS
            if is_due and name not in self._reported:
                self._reported.add(name)
                yield (
                    f"no row has had a value of {name!r} for {(now - missing_since) / 60:.0f} "
                    f"minutes ({missing_rows} rows): its last values are used. Check whether its "
                    "field was renamed"
                )
