"""Rows of sensors in groups, and the incidents that a simple program finds in them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

from sensorwatch.common.rows.field_declarations import KeyField
from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.status import STATUSES, Status
from tests.reading_builders import (
    ANOMALOUS_VALUES,
    MINUTE_MICROSECONDS,
    NORMAL_VALUES,
    START_TIME,
    a_detector,
)

DAY_MINUTES = 1_440
LATE_STATUSES = (STATUSES.index(Status.LATE), STATUSES.index(Status.DUPLICATE))


class GroupedRow(NamedTuple):
    """A row of a stream."""

    sensor_id: str
    minute: float
    is_anomalous: bool = True


def grouped_detector(detector: Detector | None = None, **key: object) -> Detector:
    """Return a detector whose sensors have groups; by default, `pump-7` is in the group `pump`."""
    detector = detector or a_detector()
    plain_key: dict[str, Any] = key or {"group": {"before": "-"}}
    schema = detector.schema.with_changes(key=KeyField.model_validate(plain_key))
    return replace(detector, schema=schema)


def readings_of(rows: Sequence[GroupedRow]) -> Readings:
    """Return the readings of rows."""
    return build_readings(
        index=range(len(rows)),
        event_time=[START_TIME + int(row.minute * MINUTE_MICROSECONDS) for row in rows],
        sensor_ids=[row.sensor_id for row in rows],
        values=[ANOMALOUS_VALUES if row.is_anomalous else NORMAL_VALUES for row in rows],
        signals=3,
    )


def score_rows(
    rows: Sequence[GroupedRow], detector: Detector, memory: Memory, batch_ends: Iterable[int] = ()
) -> list[Outcome]:
    """Score rows in micro-batches; one micro-batch ends before each index in `batch_ends`."""
    bounds = [0, *batch_ends, len(rows)]
    return [
        score_readings(readings_of(rows[start:end]), [], detector, memory)
        for start, end in pairwise(bounds)
    ]


def incidents_of(outcomes: Iterable[Outcome]) -> list[int]:
    """Return the position of the incident of each row; -1 for a normal row."""
    return [incident for outcome in outcomes for incident in outcome.detections.incident.tolist()]


def ended_incidents(outcomes: Iterable[Outcome]) -> list[tuple[int, int]]:
    """Return the start of each closed episode, and its incident."""
    return [(episode.start, episode.incident) for outcome in outcomes for episode in outcome.closed]


def expected_incidents(
    rows: Sequence[GroupedRow], outcomes: Iterable[Outcome]
) -> tuple[list[int], list[tuple[int, int]]]:
    """Return the incidents of the rows and of the closed episodes, from the episodes alone.

    All open episodes are compared with each new one. The group of `pump-7` is `pump`.
    """
    episodes = [start for outcome in outcomes for start in outcome.detections.episode.tolist()]
    status = [number for outcome in outcomes for number in outcome.detections.status.tolist()]
    closed = [episode for outcome in outcomes for episode in outcome.closed]
    incident_of: dict[int, int] = {}
    open_episodes: list[int] = []
    ended = []
    for position, row in enumerate(rows):
        for episode in closed:
            if episode.position == position:
                open_episodes.remove(episode.start)
                ended.append((episode.start, incident_of[episode.start]))
        if episodes[position] != position:
            continue
        group, dash, _ = row.sensor_id.partition("-")
        candidates = [
            incident_of[start]
            for start in open_episodes
            if dash
            and rows[start].sensor_id.startswith(f"{group}-")
            and abs(rows[incident_of[start]].minute - row.minute) <= DAY_MINUTES
        ]
        incident_of[position] = min(candidates, default=position)
        if status[position] not in LATE_STATUSES:
            open_episodes.append(position)
    return [incident_of.get(start, -1) for start in episodes], ended
