"""A grid of simulated values (steps, sensors, signals), and its conversion to records."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.backtest_runs import RecordStream
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.simulation.sensors import sensor_names
from sensorwatch.common.simulation.stream import START_TIME, VALUE_DECIMALS

MINUTE_MICROSECONDS = 60_000_000
MINUTES_PER_DAY = 1_440


@dataclass(frozen=True, slots=True)
class SensorGrid:
    """Simulated values; every sensor has one row at each step."""

    name: str
    values: NDArray[np.float64]
    """Shape (steps, sensors, signals)."""
    train_steps: int
    step_minutes: int = 1

    @property
    def sensors(self) -> int:
        """Number of sensors."""
        return int(self.values.shape[1])

    @property
    def judged_steps(self) -> int:
        """Number of steps after the training steps."""
        return len(self.values) - self.train_steps

    def stream(self) -> RecordStream:
        """Return the rows as records, ordered by time, then by sensor."""
        steps, sensors, signals = self.values.shape
        names = [f"x{signal_number + 1}" for signal_number in range(signals)]
        schema = schema_from_plain(
            {
                "name": self.name,
                "time": {"field": "timestamp", "format": "epoch_ms"},
                "key": {"field": "sensor_id"},
                "signals": [{"name": name} for name in names],
            }
        )
        times = (
            START_TIME
            + self.step_minutes * MINUTE_MICROSECONDS * np.repeat(np.arange(steps), sensors)
        ) // 1_000
        rows = np.round(self.values, VALUE_DECIMALS).reshape(-1, signals)
        sensor_ids = sensor_names(sensors) * steps
        records = [
            {"timestamp": time, "sensor_id": sensor_id, **dict(zip(names, row, strict=True))}
            for time, sensor_id, row in zip(times.tolist(), sensor_ids, rows.tolist(), strict=True)
        ]
        return RecordStream(self.name, schema, records, self.train_steps * sensors, sensors)

    def as_steps(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Reshape `flags`, one flag per judged row, to (steps, sensors)."""
        return flags.reshape(self.judged_steps, self.sensors)
