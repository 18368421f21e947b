"""A stream of simulated, labelled sensor rows; its bits do not depend on the chunk size."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.simulation.fault_plan import DEFECTS, FaultPlan, schedule_episodes
from sensorwatch.common.simulation.faults import Defect, FaultKind, inject_fault
from sensorwatch.common.simulation.sensors import SIGNALS, Fleet, fleet, noise_scale, sensor_names

START_TIME = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
VALUE_DECIMALS = 6
FAULT_KINDS = tuple(FaultKind)
_COLUMNS = ("event_time", "sensor", "values", "kind", "defect")


@dataclass(frozen=True, slots=True)
class Simulation:
    """The parameters that determine a simulated stream."""

    sensors: int = 10
    rows: int | None = None
    """Number of rows, or None for an endless stream."""
    seed: int = 0
    start: int = START_TIME
    """Time of the first step, microseconds UTC. Every sensor sends one row per step."""
    interval_seconds: float = 1.0
    """Seconds between two steps; has to be a whole number of microseconds, at least one."""
    faults: FaultPlan | None = None
    chunk_rows: int = 10_000
    """Number of rows per chunk. The chunk size does not change the rows."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """n simulated rows in time order, each with its label."""

    event_time: NDArray[np.int64]
    """Shape (n,). Event time in microseconds UTC."""
    sensor: NDArray[np.int32]
    """Shape (n,). Index of the row's sensor in `sensor_ids`."""
    values: NDArray[np.float64]
    """Shape (n, signals). For a malformed row: the values without the defect."""
    kind: NDArray[np.int8]
    """Shape (n,). 0 for a healthy row, else 1 + index in FAULT_KINDS."""
    defect: NDArray[np.int8]
    """Shape (n,). 0 for a well-formed row, else 1 + index in DEFECTS."""
    sensor_ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.event_time)

    @property
    def sensor_id(self) -> list[str]:
        """Return each row's sensor id."""
        return [self.sensor_ids[sensor] for sensor in self.sensor.tolist()]

    @property
    def label(self) -> list[str]:
        """Return each row's label: the kind of fault, or an empty text for a healthy row."""
        label_by_code = ("", *FAULT_KINDS)
        return [str(label_by_code[kind]) for kind in self.kind.tolist()]

    @property
    def defects(self) -> list[Defect | None]:
        """Return each row's defect, or None for a well-formed row."""
        defect_by_code = (None, *DEFECTS)
        return [defect_by_code[defect] for defect in self.defect.tolist()]

    def slice_rows(self, first: int, end: int) -> "Chunk":
        """Return the rows `first` to `end` - 1."""
        columns = {name: getattr(self, name)[first:end] for name in _COLUMNS}
        return replace(self, **columns)


def simulate(simulation: Simulation) -> Iterator[Chunk]:
    """Yield the rows sorted by time and sensor, `chunk_rows` at a time.

    Rows of a dropout are left out, so no row has the label `dropout`. The same simulation gives
    the same bits on one machine for any `chunk_rows`. A longer simulation starts with the rows of a
    shorter one.
    """
    remaining_rows = simulation.rows
    chunk_size = simulation.chunk_rows
    pending_blocks: list[Chunk] = []
    for block in _simulate_blocks(simulation):
        pending_blocks.append(block)
        available_rows = sum(map(len, pending_blocks))
        if remaining_rows is not None and available_rows >= remaining_rows:
            yield from _split_chunk(_join_chunks(pending_blocks), remaining_rows, chunk_size)
            return
        complete_rows = available_rows - available_rows % chunk_size
        if complete_rows:
            joined_blocks = _join_chunks(pending_blocks)
            yield from _split_chunk(joined_blocks, complete_rows, chunk_size)
            pending_blocks = [joined_blocks.slice_rows(complete_rows, available_rows)]
            remaining_rows = None if remaining_rows is None else remaining_rows - complete_rows


def _simulate_blocks(simulation: Simulation) -> Iterator[Chunk]:
    sensors = fleet(simulation.seed, simulation.sensors)
    block_number = 0
    while True:
        yield _simulate_block(simulation, sensors, block_number)
        block_number += 1


def _simulate_block(simulation: Simulation, sensors: Fleet, block_number: int) -> Chunk:
    steps, interval = sensors.block_steps, round(simulation.interval_seconds * 1_000_000)
    values = sensors.measure(block_number, start=simulation.start, interval=interval)
    kind = np.zeros((steps, sensors.sensors), dtype=np.int8)
    defect = np.zeros_like(kind)
    if simulation.faults is not None:
        rng = np.random.default_rng([simulation.seed, block_number, 2])
        _inject_faults(values, kind, defect, simulation.faults, rng)
    step_numbers = np.arange(block_number * steps, (block_number + 1) * steps, dtype=np.int64)
    is_sent = (kind != 1 + FAULT_KINDS.index(FaultKind.DROPOUT)).ravel()
    return Chunk(
        np.repeat(simulation.start + step_numbers * interval, sensors.sensors)[is_sent],
        np.tile(np.arange(sensors.sensors, dtype=np.int32), steps)[is_sent],
        # Real instruments do not report 17 digits, and fewer digits keep records small.
        np.round(values, VALUE_DECIMALS).reshape(-1, len(SIGNALS))[is_sent],
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
    """Inject the faults of a block of steps into its columns, in place.

    `values`: shape (steps, sensors, signals). `kind`, `defect`: shape (steps, sensors).
    """
    steps, sensors = kind.shape
    scale = noise_scale()
    # Draw the whole schedule before the first injection: both use the same random generator.
    for episode in list(schedule_episodes(plan, steps=steps, sensors=sensors, rng=rng)):
        rows = slice(episode.first_step, episode.first_step + episode.length)
        kind[rows, episode.sensor] = 1 + FAULT_KINDS.index(episode.kind)
        if episode.kind is FaultKind.MALFORMED:
            defect[rows, episode.sensor] = 1 + DEFECTS.index(episode.defect)
        elif episode.kind is not FaultKind.DROPOUT:
            values[:, episode.sensor] = inject_fault(
                values[:, episode.sensor],
                episode.kind,
                first_row=episode.first_step,
                length=episode.length,
                size=plan.size,
                scale=scale,
                rng=rng,
            )


def _join_chunks(chunks: list[Chunk]) -> Chunk:
    if len(chunks) == 1:
        return chunks[0]
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(chunk, name) for chunk in chunks]) for name in _COLUMNS
    }
    return replace(chunks[0], **columns)


def _split_chunk(chunk: Chunk, rows: int, chunk_size: int) -> Iterator[Chunk]:
    for first in range(0, rows, chunk_size):
        yield chunk.slice_rows(first, min(first + chunk_size, rows))
