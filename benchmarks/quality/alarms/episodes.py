"""The alarm episodes of scored rows, and their matches with the true faults."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.scored_rows import ANY, ScoredRows, lowest_severity


@dataclass(frozen=True, slots=True)
class EpisodeTable:
    """k alarm episodes, ordered by their first row; each array has shape (k,)."""

    sensor: NDArray[np.int32]
    first_time: NDArray[np.int64]
    """Event time of the first anomalous row, microseconds UTC."""
    last_time: NDArray[np.int64]
    """Event time of the last anomalous row, microseconds UTC."""
    severity: NDArray[np.int8]
    """Highest severity, as a position in SEVERITIES."""
    peak: NDArray[np.float64]
    """Highest raw score of the episode's rows."""

    def __len__(self) -> int:
        return len(self.sensor)

    def reaches(self, level: str) -> NDArray[np.bool_]:
        """Return a mask (k,) of the episodes whose highest severity is at least this level."""
        return self.severity >= lowest_severity(level)


@dataclass(frozen=True, slots=True)
class TrueFault:
    """The first and last faulty row of one fault."""

    name: str
    sensor: int
    first_time: int
    """Event time in microseconds UTC."""
    last_time: int


@dataclass(frozen=True, slots=True)
class Matches:
    """The episodes that belong to each fault."""

    is_true: NDArray[np.bool_]
    """Shape (k,). Whether an episode is true: one of its rows is between a fault's first and last
    row."""
    is_near: NDArray[np.bool_]
    """Shape (k,). Whether the episode is true, or begins shortly after the end of a fault."""
    episodes_by_fault: list[NDArray[np.int64]]
    """For each fault, the positions of its true episodes."""
    near_episodes_by_fault: list[NDArray[np.int64]]
    """For each fault, the positions of its true episodes, and of the episodes shortly after the
    fault."""


def episode_table(rows: ScoredRows) -> EpisodeTable:
    """Collect the episodes of scored rows."""
    alarmed = np.flatnonzero(rows.alarmed(ANY))
    _, first, number = np.unique(rows.episode[alarmed], return_index=True, return_inverse=True)
    k = len(first)
    last_time = np.zeros(k, dtype=np.int64)
    severity = np.zeros(k, dtype=np.int8)
    peak = np.full(k, -np.inf)
    np.maximum.at(last_time, number, rows.event_time[alarmed])
    np.maximum.at(severity, number, rows.severity[alarmed])
    np.maximum.at(peak, number, rows.raw_score[alarmed])
    first_rows = alarmed[first]
    return EpisodeTable(
        rows.sensor[first_rows], rows.event_time[first_rows], last_time, severity, peak
    )


def match(episodes: EpisodeTable, faults: Sequence[TrueFault], *, margin: int) -> Matches:
    """Find the episodes of each fault. `margin`: time after a fault, in microseconds.

    An episode that begins within the margin still belongs to the fault, because it reports the
    recovery.
    """
    is_true = np.zeros(len(episodes), dtype=np.bool_)
    is_near = np.zeros(len(episodes), dtype=np.bool_)
    episodes_by_fault, near_episodes_by_fault = [], []
    for fault in faults:
        is_of_sensor = episodes.sensor == fault.sensor
        has_begun = is_of_sensor & (episodes.last_time >= fault.first_time)
        is_of_fault = has_begun & (episodes.first_time <= fault.last_time)
        is_near_fault = has_begun & (episodes.first_time <= fault.last_time + margin)
        is_true |= is_of_fault
        is_near |= is_near_fault
        episodes_by_fault.append(np.flatnonzero(is_of_fault))
        near_episodes_by_fault.append(np.flatnonzero(is_near_fault))
    return Matches(is_true, is_near, episodes_by_fault, near_episodes_by_fault)


def share_found(
    matches: Matches, is_counted: NDArray[np.bool_], *, faults: Sequence[int] | None = None
) -> float:
    """Return the share of the faults with a true episode that is in `is_counted` (k,).

    `faults`: positions of the faults to look at; None: all faults. NaN if there is no fault.
    """
    numbers = range(len(matches.episodes_by_fault)) if faults is None else faults
    is_found = [bool(is_counted[matches.episodes_by_fault[number]].any()) for number in numbers]
    return float(np.mean(is_found)) if is_found else float("nan")


def precision(is_true: NDArray[np.bool_], is_counted: NDArray[np.bool_]) -> float:
    """Return the share of true episodes among the counted ones; NaN if none is counted."""
    return float(is_true[is_counted].mean()) if is_counted.any() else float("nan")


def peak_at_rate(
    peak: NDArray[np.float64], is_false: NDArray[np.bool_], *, days: float, rate: float
) -> float:
    """Return the lowest peak above which at most `rate` false episodes per day remain.

    The result is -inf if no episode must be left out. `peak`, `is_false`: shape (k,). `days`:
    observed time in sensor-days. The allowed number of false episodes is rounded down.
    """
    allowed_count = int(rate * days)
    false_peaks = np.sort(peak[is_false])[::-1]
    return float(false_peaks[allowed_count]) if allowed_count < len(false_peaks) else float("-inf")
