"""The rule of a silent sensor: when a sensor that sends no rows counts as silent."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.scoring.memory_layout import NO_ROW_YET

MIN_LIMIT_SECONDS = 60.0
"""Shortest limit that is computed from a cadence."""
MAX_LIMIT_SECONDS = 10 * 365 * 86_400.0
"""Longest limit."""
NO_DEADLINE = 2**63 - 1
"""Deadline of a sensor without a limit, and of a sensor that is already silent."""


@dataclass(frozen=True, slots=True)
class SilenceRule:
    """When a sensor of a partition counts as silent; see `sensorwatch.common.scoring.silence`."""

    check_seconds: float = 0.0
    """The sensors are checked at each multiple of this event time. With 0, there is no check."""
    after_seconds: float = 0.0
    """The limit of each sensor in seconds. With 0, the limit depends on the sensor's cadence."""
    after_cadences: float = 10.0
    """A limit that depends on the cadence is at least this multiple of the cadence."""
    severity: str = "critical"
    """Severity of the events of silent sensors: the value of a `Severity`."""

    @property
    def is_on(self) -> bool:
        """Whether the sensors are checked."""
        return self.check_seconds > 0.0

    def limits(
        self, cadence: NDArray[np.float64], gap_factor: NDArray[np.float64]
    ) -> NDArray[np.int64]:
        """Return the limit (n,) of each sensor in microseconds; 0 if the sensor has no limit.

        The limit is `after_seconds`, if it is set. Otherwise it is the cadence times a factor, and
        at least MIN_LIMIT_SECONDS. The factor is `after_cadences` or the gap factor, the larger of
        the two. The gap factor is large if the sensor's intervals were irregular in training. A
        sensor whose cadence is not learned yet has no limit. `cadence`: shape (n,), microseconds, 0
        if not learned. `gap_factor`: shape (n,), see `Levels.gap_factor`.
        """
        if self.after_seconds > 0.0:
            return np.full(len(cadence), int(self.after_seconds * 1e6), dtype=np.int64)
        limits = np.maximum(gap_factor, self.after_cadences) * cadence
        limits = np.clip(limits, MIN_LIMIT_SECONDS * 1e6, MAX_LIMIT_SECONDS * 1e6)
        return np.where(cadence > 0.0, limits, 0.0).astype(np.int64)


NO_SILENCE_CHECK = SilenceRule()
"""No sensor is checked: the rule of requests, of files, and of accounts of older versions."""


class SilenceColumn(IntEnum):
    """Positions of the values in `Memory.silence`."""

    EVENT_TIME = 0
    """Event time of the partition, microseconds UTC; NO_ROW_YET before the first row."""
    PREVIOUS_EVENT_TIME = 1
    """Event time of the partition before its newest step; NO_ROW_YET before the first step."""
    NEXT_DEADLINE = 2
    """A lower bound of the deadlines of all sensors. A check before this time finds no silence."""
    SILENT_SENSORS = 3
    """Number of sensors that are silent."""


def initial_silence() -> NDArray[np.int64]:
    """Return the values of `Memory.silence` in an empty memory: shape (len(SilenceColumn),)."""
    return np.asarray([NO_ROW_YET, NO_ROW_YET, NO_DEADLINE, 0], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class SensorSilence:
    """The begin or the end of the silence of a sensor."""

    index: int
    """Index (within its micro-batch) of the record that revealed or ended the silence."""
    position: int
    """Stream position of the row that revealed or ended the silence; see `row_positions`."""
    time: int
    """Event time of this row, microseconds UTC."""
    sensor_id: str
    last: int
    """Event time of the sensor's last row before the silence, microseconds UTC."""
    silent_time: int
    """Duration of the silence so far in microseconds of event time."""
    cadence: int
    """Cadence of the sensor at its last row, in microseconds; 0 if it was not learned."""
    severity: str
    """See `SilenceRule.severity`."""
    begin_position: int
    """Stream position of the row that revealed the silence."""
    number: int
    """Number of the sensor among those whose silence the same row revealed."""
    is_back: bool
    """Whether the silence has ended."""

    @property
    def word(self) -> int:
        """A 64-bit word with all facts of the silence, for the ledger's digest."""
        facts = (self.position, self.last, self.silent_time, self.begin_position, self.number)
        word = int(self.is_back)
        for fact in (*facts, *self.sensor_id.encode()):
            word = ((word ^ fact) * _WORD_MULTIPLIER + 1) % 2**64
        return word


_WORD_MULTIPLIER = 0xBF58476D1CE4E5B9
