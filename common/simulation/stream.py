"""A seeded stream of labelled sensor rows in chunks, the same however it is cut."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.simulation.fault_plan import DEFECTS, FaultPlan, schedule
from sensorwatch.common.simulation.faults import Defect, FaultKind, inject
from sensorwatch.common.simulation.sensors import SIGNALS, Fleet, fleet, noise_scale, sensor_names

START = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
DECIMALS = 6
FAULT_KINDS = tuple(FaultKind)
_COLUMNS = ("event_time", "sensor", "values", "kind", "defect")


@dataclass(frozen=True, slots=True)
class Simulation:
    """Everything that a simulated stream follows from."""

    sensors: int = 10
    rows: int | None = None
    """How many rows come out; None: no end."""
    seed: int = 0
    start: int = START
    """Microseconds UTC of the first step, at which every sensor sends one row."""
    interval_seconds: float = 1.0
    """Between two steps; a whole number of microseconds, at least one."""
    faults: FaultPlan | None = None
    chunk_rows: int = 10_000
    """How many rows come at once; nothing else depends on it."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """n rows in time order, each with its label."""

    event_time: NDArray[np.int64]
    """(n,) microseconds UTC."""
    sensor: NDArray[np.int32]
    """(n,) position in `sensor_ids`."""
    values: NDArray[np.float64]
    """(n, signals); of a malformed row those it would have had."""
    kind: NDArray[np.int8]
    """(n,) 0: healthy, else 1 + position in KINDS."""
    defect: NDArray[np.int8]
    """(n,) 0: well formed, else 1 + position in DEFECTS."""
    sensor_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.event_time)

    @property
    def sensor_id(self) -> list[str]:
        """Each row's sensor."""
        return [self.sensor_ids[sensor] for sensor in self.sensor.tolist()]

    @property
    def label(self) -> list[str]:
        """Each row's label: the kind of fault, or nothing."""
        labels = ("", *FAULT_KINDS)
        return [str(labels[kind]) for kind in self.kind.tolist()]

    @property
    def defects(self) -> list[Defect | None]:
        """How each row is malformed, or None."""
        names = (None, *DEFECTS)
        return [names[defect] for defect in self.defect.tolist()]

    def slice_rows(self, first: int, last: int) -> "Chunk":
        """Return rows `first` to `last`."""
        columns = {name: getattr(self, name)[first:last] for name in _COLUMNS}
        return replace(self, **columns)


def simulate(simulation: Simulation) -> Iterator[Chunk]:
    """Yield the stream's rows by time, then sensor, `chunk_rows` at a time.

    A dropout's rows are not there; its end is not labelled. The same simulation gives the same
    bits on one machine, for any `chunk_rows`, and a longer one begins with a shorter one's rows.
    """
    remaining_rows = simulation.rows
    size = simulation.chunk_rows
    pending: list[Chunk] = []
    for block in _blocks(simulation):
        pending.append(block)
        available = sum(map(len, pending))
        if remaining_rows is not None and available >= remaining_rows:
            yield from _split(_joined(pending), remaining_rows, size)
            return
        complete_rows = available - available % size
        if complete_rows:
            joined = _joined(pending)
            yield from _split(joined, complete_rows, size)
            pending = [joined.slice_rows(complete_rows, available)]
            remaining_rows = None if remaining_rows is None else remaining_rows - complete_rows


def _blocks(simulation: Simulation) -> Iterator[Chunk]:
    sensors = fleet(simulation.seed, simulation.sensors)
    number = 0
    while True:
        yield _block(simulation, sensors, number)
        number += 1


def _block(simulation: Simulation, sensors: Fleet, number: int) -> Chunk:
    steps, interval = sensors.block_steps, round(simulation.interval_seconds * 1_000_000)
    values = sensors.measure(number, start=simulation.start, interval=interval)
    kind = np.zeros((steps, sensors.sensors), dtype=np.int8)
    defect = np.zeros_like(kind)
    if simulation.faults is not None:
        rng = np.random.default_rng([simulation.seed, number, 2])
        _inject_faults(values, kind, defect, simulation.faults, rng)
    step = np.arange(number * steps, (number + 1) * steps, dtype=np.int64)
    is_sent = (kind != 1 + FAULT_KINDS.index(FaultKind.DROPOUT)).ravel()
    return Chunk(
        np.repeat(simulation.start + step * interval, sensors.sensors)[is_sent],
        np.tile(np.arange(sensors.sensors, dtype=np.int32), steps)[is_sent],
        # No instrument shows 17 digits; the fewer also keep records small.
        np.round(values, DECIMALS).reshape(-1, len(SIGNALS))[is_sent],
        kind.ravel()[is_sent],
        defect.ravel()[is_sent],
        sensor_names(sensors.sensors),
    )


def _inject_faults(
    values: NDArray[np.float64],
    kind: NDArray[np.int8],
    defect: NDArray[np.int8],
    plan: FaultPlan,
    rng: np.random.Generator,
) -> None:
    """Write a span's faults into its (steps, sensors) columns."""
    steps, sensors = kind.shape
    scale = noise_scale()
    # The whole schedule first: it must not depend on what the injected noise draws.
    for episode in list(schedule(plan, steps=steps, sensors=sensors, rng=rng)):
        rows = slice(episode.at, episode.at + episode.length)
        kind[rows, episode.sensor] = 1 + FAULT_KINDS.index(episode.kind)
        if episode.kind is FaultKind.MALFORMED:
            defect[rows, episode.sensor] = 1 + DEFECTS.index(episode.defect)
        elif episode.kind is not FaultKind.DROPOUT:
            values[:, episode.sensor] = inject(
                values[:, episode.sensor],
                episode.kind,
                at=episode.at,
                length=episode.length,
                size=plan.size,
                scale=scale,
                rng=rng,
            )


def _joined(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in _COLUMNS
    }
    return replace(chunks[0], **columns)


def _split(chunk: Chunk, rows: int, size: int) -> Iterator[Chunk]:
    for first in range(0, rows, size):
        yield chunk.slice_rows(first, min(first + size, rows))
