"""The facts about one episode that are shown: its state, incident, bands and input rows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import AnyEvent, Event, Signal, event_instant
from sensorwatch.common.alarms.incidents import Incident, incidents_of
from sensorwatch.common.verdicts.verdict import VerdictRecord
from sensorwatch.episodes.input_rows import SensorRows

ROWS_AROUND = 60
"""Largest number of rows that are drawn before and after an episode."""


@dataclass(frozen=True, slots=True)
class SignalSeries:
    """The values of one signal around an episode, and the bands that the events have."""

    name: str
    times: Sequence[datetime]
    values: Sequence[float]
    """NaN if a value is missing."""
    in_episode: Sequence[bool]
    bands: Sequence[tuple[float, float] | None]
    """The expected band of each row that has an event; None for other rows."""


@dataclass(frozen=True, slots=True)
class EpisodeView:
    """An episode with its incident, and with the values of its signals."""

    episode: EpisodeState
    incident: Incident
    series: list[SignalSeries]
    """One series per signal, the most unusual signal first."""
    rows_note: str
    """Why the input rows could not be read; empty if they were read."""
    verdict: VerdictRecord | None = None
    """What a person said about the episode; None if there is no verdict."""


def incident_of_episode(book: EpisodeBook, episode: EpisodeState) -> Incident:
    """Return the incident of an episode, from all episodes of its group."""
    episodes_of_group = [
        other
        for other in book.episodes()
        if other.group == episode.group and (other.group or other.sensor_id == episode.sensor_id)
    ]
    return next(
        incident
        for incident in incidents_of(episodes_of_group)
        if any(member.id == episode.id for member in incident.episodes)
    )


def build_view(
    book: EpisodeBook,
    episode: EpisodeState,
    events: Iterable[AnyEvent],
    rows: SensorRows | str,
    signal_names: Sequence[str],
    verdict: VerdictRecord | None = None,
) -> EpisodeView:
    """Return the view of an episode. `events`: its events. `rows`: see `read_rows_around`."""
    alarms = [event for event in events if isinstance(event, Event)]
    if isinstance(rows, str):
        series = [_series_of_events(name, alarms) for name in _names_in_events(alarms)]
        note = rows
    else:
        series = [
            _series_of_rows(name, column, rows.around_episode(ROWS_AROUND), alarms)
            for column, name in enumerate(signal_names)
        ]
        note = ""
    names = _names_by_attribution(episode)
    series.sort(key=lambda line: names.index(line.name) if line.name in names else len(names))
    return EpisodeView(episode, incident_of_episode(book, episode), series, note, verdict)


def _names_in_events(alarms: Sequence[Event]) -> list[str]:
    return list(dict.fromkeys(signal.name for alarm in alarms for signal in alarm.signals))


def _names_by_attribution(episode: EpisodeState) -> list[str]:
    ranked = sorted(
        episode.signals,
        key=lambda signal: (-(signal.attribution or 0.0), signal.direction == "within"),
    )
    return [signal.name for signal in ranked]


def _signal_in(alarm: Event, name: str) -> Signal | None:
    return next((signal for signal in alarm.signals if signal.name == name), None)


def _series_of_events(name: str, alarms: Sequence[Event]) -> SignalSeries:
    """Return the series of a signal from the events alone."""
    points = [
        (event_instant(alarm.event_time), signal)
        for alarm in alarms
        if (signal := _signal_in(alarm, name)) is not None
    ]
    return SignalSeries(
        name,
        [time for time, _ in points],
        [signal.actual for _, signal in points],
        [True] * len(points),
        [(signal.expected_low, signal.expected_high) for _, signal in points],
    )


def _series_of_rows(
    name: str, column: int, rows: SensorRows, alarms: Sequence[Event]
) -> SignalSeries:
    """Return the series of a signal from the input rows, with the bands of the events."""
    bands: dict[datetime, tuple[float, float]] = {}
    for alarm in alarms:
        signal = _signal_in(alarm, name)
        if signal is not None:
            bands[event_instant(alarm.event_time)] = (
                signal.expected_low,
                signal.expected_high,
            )
    return SignalSeries(
        name,
        rows.times,
        np.asarray(rows.values[:, column], dtype=np.float64).tolist(),
        rows.in_episode.tolist(),
        [bands.get(time) for time in rows.times],
    )
