"""Scores a stream day by day, while a person gives verdicts on the harmless alarms."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.quality.verdicts.flushed_fleet import (
    HARMLESS,
    INTERVAL_SECONDS,
    STEPS_PER_DAY,
    Excursion,
    FlushedFleet,
)
from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import ClosingEvent, Episode, Event, Signal
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.policy.alarm_policy import EMPTY_POLICY
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.sensor_groups import group_reader
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detections import SEVERITY_TEXTS, ClosedEpisode
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.explanation import SignalReading, explain_rows
from sensorwatch.common.scoring.patterns import PATTERN_TEXTS
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.suppression import SUPPRESSION_TEXTS
from sensorwatch.common.verdicts.learning import LearningRule, learn
from sensorwatch.common.verdicts.verdict import Verdict

MIN_SEVERITY = "warning"
"""Lowest severity that is an alarm."""
LATE_STEPS = 3
"""An alarm may begin this number of steps after the end of an excursion."""


@dataclass(frozen=True, slots=True)
class JudgedReplay:
    """The alarms of a stream, and what the verdicts changed."""

    alarms: list[EpisodeState]
    """The episodes that became an alarm, in the order of their begin."""
    verdicts: int
    """Number of verdicts that were given."""
    last_verdict: int
    """Time of the last verdict, microseconds UTC; 0 without verdicts."""
    score_bits: bytes
    """The digests of all rows."""

    def finds(self, excursion: Excursion, sensor_ids: Sequence[str]) -> bool:
        """Return whether an alarm begins in an excursion, or shortly after it."""
        return any(is_alarm_of(alarm, excursion, sensor_ids) for alarm in self.alarms)


def is_alarm_of(alarm: EpisodeState, excursion: Excursion, sensor_ids: Sequence[str]) -> bool:
    """Return whether an alarm begins in an excursion, or at most LATE_STEPS after it.

    An alarm that began before the excursion says nothing about it.
    """
    latest = excursion.last_time + LATE_STEPS * INTERVAL_SECONDS * 1_000_000
    return (
        alarm.sensor_id == sensor_ids[excursion.sensor]
        and excursion.first_time <= to_microseconds(alarm.begin) <= latest
    )


def replay(
    fleet: FlushedFleet,
    detector: Detector,
    *,
    max_verdicts: int,
    rule: LearningRule,
    emit: EmittedEvents = EmittedEvents.ROWS,
) -> JudgedReplay:
    """Score the stream; when there are enough harmless alarms, judge all of them as false.

    The first `max_verdicts` harmless alarms are judged at the end of the day of the last one. With
    0, the stream is scored without a policy. `emit`: which rows have an event.
    """
    memory, book = detector.empty_memory(), EpisodeBook()
    sensor_ids = fleet.stream.sensor_ids
    harmless = [excursion for excursion in fleet.excursions if excursion.kind == HARMLESS]
    verdicts, last_verdict, bits = 0, 0, []
    day_rows = STEPS_PER_DAY * len(sensor_ids)
    for first in range(0, len(fleet.stream), day_rows):
        day = _renumbered(fleet.stream.take(slice(first, first + day_rows)))
        positions = first + np.arange(len(day), dtype=np.int64)
        outcome = score_readings(day, [], detector, memory, positions=positions)
        bits.append(outcome.score_bits.tobytes())
        _add_events(book, outcome, detector, emit)
        if verdicts < max_verdicts:
            to_judge = [a for a in _alarms(book) if _is_harmless(a, harmless, sensor_ids)]
            if len(to_judge) >= max_verdicts:
                detector = _judged(detector, to_judge[:max_verdicts], rule)
                verdicts, last_verdict = max_verdicts, int(day.event_time[-1])
    return JudgedReplay(_alarms(book), verdicts, last_verdict, b"".join(bits))


def _judged(detector: Detector, alarms: Sequence[EpisodeState], rule: LearningRule) -> Detector:
    """Return the detector under the policy after verdicts `false` on all these alarms."""
    policy = detector.policy or EMPTY_POLICY
    for alarm in alarms:
        policy = policy.with_learned(learn(alarm, Verdict.FALSE, rule).added_to(policy.learned))
    return detector.under(policy)


def _is_harmless(
    alarm: EpisodeState, flushes: Sequence[Excursion], sensor_ids: Sequence[str]
) -> bool:
    return any(is_alarm_of(alarm, flush, sensor_ids) for flush in flushes)


def _renumbered(readings: Readings) -> Readings:
    return replace(readings, index=np.arange(len(readings), dtype=np.int64))


def _alarms(book: EpisodeBook) -> list[EpisodeState]:
    is_alarm = severity_rank(MIN_SEVERITY)
    alarms = [state for state in book.episodes() if severity_rank(state.severity) >= is_alarm]
    return sorted(alarms, key=lambda alarm: (alarm.begin, alarm.sensor_id))


def _add_events(
    book: EpisodeBook, outcome: Outcome, detector: Detector, emit: EmittedEvents
) -> None:
    """Add the events of the rows and of the ends of episodes, in order."""
    detections = outcome.detections
    has_event = detections.is_anomaly
    if emit is EmittedEvents.EPISODES:
        is_raised = detections.severity > detections.previous_severity
        has_event = has_event & (is_raised | detections.is_news)
    rows = np.flatnonzero(has_event)
    signals = explain_rows(detector, outcome, rows)
    events: list[tuple[int, int, Event | ClosingEvent]] = [
        (int(row), 1, _row_event(outcome, detector, int(row), readings))
        for row, readings in zip(rows.tolist(), signals, strict=True)
    ]
    events += [(episode.index, 0, _closing_event(episode)) for episode in outcome.closed]
    for _, _, event in sorted(events, key=lambda item: item[:2]):
        book.add(event)


def _row_event(
    outcome: Outcome, detector: Detector, row: int, signals: Sequence[SignalReading]
) -> Event:
    detections, readings = outcome.detections, outcome.readings
    sensor_id = readings.sensor_ids[int(readings.sensor[row])]
    group_of = group_reader(detector.schema)
    return Event(
        event_id=str(outcome.positions[row]),
        sensor_id=sensor_id,
        event_time=format_instant(int(readings.event_time[row])),
        group="" if group_of is None else group_of(sensor_id),
        model_version=detector.version,
        anomaly_score=float(detections.anomaly_score[row]),
        severity=str(SEVERITY_TEXTS[detections.severity[row]]),
        signals=[_signal(reading) for reading in signals],
        episode=Episode(
            int(detections.episode_rows[row]),
            str(detections.episode[row]),
            format_instant(int(detections.episode_time[row])),
            float(detections.episode_peak[row]),
        ),
        pattern=str(PATTERN_TEXTS[detections.pattern[row]]),
        suppressed=str(SUPPRESSION_TEXTS[detections.suppression[row]]),
    )


def _signal(reading: SignalReading) -> Signal:
    return Signal(**{name: getattr(reading, name) for name in Signal.__struct_fields__})


def _closing_event(episode: ClosedEpisode) -> ClosingEvent:
    return ClosingEvent(
        event_id=f"{episode.start}-closed",
        sensor_id=episode.sensor_id,
        event_time=format_instant(episode.closed_time),
        duration_seconds=(episode.last_time - episode.start_time) / 1e6,
        rows=episode.rows,
        peak=episode.peak,
        severity=episode.severity.value,
        episode_id=str(episode.start),
        start=format_instant(episode.start_time),
        last=format_instant(episode.last_time),
        suppressed=episode.suppression.value,
    )
