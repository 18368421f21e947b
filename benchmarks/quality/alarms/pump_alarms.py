"""Measure the alarms on a fault day of three pumps."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.episodes import EpisodeTable, TrueFault, episode_table, match
from benchmarks.quality.alarms.figures import NOT_KNOWN, number
from benchmarks.quality.alarms.pump_day import (
    FAULTS,
    INTERVAL_SECONDS,
    PUMPS,
    SILENT_STEPS,
    SLOW_RISE,
    TRAIN_DAYS,
    pump_day,
)
from benchmarks.quality.alarms.scored_rows import ANY, LEVELS, ScoredRows, score
from benchmarks.quality.alarms.sensor_rows import SECOND_US
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.sensor_settings import silence_rule
from sensorwatch.common.runtime.setting_keys import SensorSettings, TrainerSettings
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.silence_rule import SensorSilence
from sensorwatch.trainer.unregistered_model import fit_with_memory

MARGIN_ROWS = 30
MAX_DELAY_MINUTES = {SLOW_RISE: 180.0}
"""Largest delay, in minutes, of a critical alarm that is in time. For other faults, the alarm must
come by the last faulty row."""
_MINUTE_US = 60 * SECOND_US


@dataclass(frozen=True, slots=True)
class FaultAlarm:
    """The alarms and delays of the episodes of one fault."""

    name: str
    critical_delay: float | None
    """Minutes from the first faulty row to the first critical row, if it is in time; else None."""
    any_delay: float | None
    """Minutes from the first faulty row to the first anomalous row; None: no alarm."""
    minutes_open: float | None
    """Minutes from the last faulty row to the last row of the fault's episodes; None: no alarm."""
    episodes: int
    """Number of episodes in the fault's rows and shortly after them."""
    alarms: int
    """Number of these episodes that have at least the severity `warning`."""


@dataclass(frozen=True, slots=True)
class PumpAlarms:
    """Results of one seed."""

    faults: list[FaultAlarm]
    episodes: dict[str, int]
    """For each level of LEVELS, the number of episodes of the fault day."""
    others: dict[str, int]
    """For each level, the number of the episodes without a faulty row."""
    training_episodes: float
    """Number of episodes per pump and day of the training rows, scored again with an empty
    memory."""
    silence_delay: float | None
    """Minutes from the last row of the silent pump to the event of its silence; None: no event."""
    back_delay: float | None
    """Minutes from the next row of this pump to the event of its return; None: no event."""
    false_silences: int
    """Number of other silences."""


def measure(seed: int) -> PumpAlarms:
    """Train on four healthy days, and score the fault day."""
    day = pump_day(seed)
    rows = day.rows
    detector, memory = fit_with_memory(rows.training, rows.schema, TrainerSettings())
    silences: list[SensorSilence] = []
    memory.silence_rule = silence_rule(SensorSettings())
    scored = score(rows.judged, detector, memory, silences=silences)
    episodes = episode_table(scored)
    margin = MARGIN_ROWS * INTERVAL_SECONDS * SECOND_US
    matches = match(episodes, day.faults, margin=margin)
    training_episodes = episode_table(score(rows.training, detector, detector.empty_memory()))
    return PumpAlarms(
        [
            fault_alarm(fault, scored, episodes, true_episodes, near_episodes)
            for fault, true_episodes, near_episodes in zip(
                day.faults, matches.episodes_by_fault, matches.near_episodes_by_fault, strict=True
            )
        ],
        {level: int(episodes.reaches(level).sum()) for level in LEVELS},
        {level: int((episodes.reaches(level) & ~matches.is_true).sum()) for level in LEVELS},
        len(training_episodes) / (PUMPS * TRAIN_DAYS),
        *silence_delays(silences, int(rows.judged.event_time[0])),
    )


def fault_alarm(
    fault: TrueFault,
    scored: ScoredRows,
    episodes: EpisodeTable,
    true_episodes: NDArray[np.int64],
    near_episodes: NDArray[np.int64],
) -> FaultAlarm:
    """Return the alarms and delays of the episodes of a fault.

    `true_episodes`: positions of the episodes in the fault's rows. `near_episodes`: also those of
    the episodes shortly after the fault.
    """
    limit = MAX_DELAY_MINUTES.get(fault.name)
    last_time = fault.last_time
    if limit is not None:
        last_time = min(last_time, fault.first_time + round(limit * _MINUTE_US))
    last_alarm = int(episodes.last_time[true_episodes].max(initial=0))
    return FaultAlarm(
        fault.name,
        _delay(scored, fault, Severity.CRITICAL.value, last_time),
        _delay(scored, fault, ANY, fault.last_time),
        max(last_alarm - fault.last_time, 0) / _MINUTE_US if len(true_episodes) else None,
        len(near_episodes),
        int(episodes.reaches(Severity.WARNING.value)[near_episodes].sum()),
    )


def tables(runs: Sequence[PumpAlarms]) -> list[Table]:
    """Return three tables: the alarms of each fault, the silent pump, and the episodes."""
    return [_fault_table(runs), _silence_table(runs), _count_table(runs)]


def silence_delays(
    silences: Sequence[SensorSilence], day_start: int
) -> tuple[float | None, float | None, int]:
    """Return the delays of the silent pump's two events, and the number of other silences."""
    first_silent, next_row = (
        day_start + step * INTERVAL_SECONDS * SECOND_US for step in SILENT_STEPS
    )
    last_row = first_silent - INTERVAL_SECONDS * SECOND_US
    begins = [silence for silence in silences if not silence.is_back]
    true_begins = [silence for silence in begins if silence.last == last_row]
    backs = [silence for silence in silences if silence.is_back and silence.last == last_row]
    return (
        (true_begins[0].time - last_row) / _MINUTE_US if true_begins else None,
        (backs[0].time - next_row) / _MINUTE_US if backs else None,
        len(begins) - len(true_begins),
    )


def _silence_table(runs: Sequence[PumpAlarms]) -> Table:
    silent = [run.silence_delay for run in runs if run.silence_delay is not None]
    back = [run.back_delay for run in runs if run.back_delay is not None]
    return Table(
        f"The fault day: the third pump sends no rows for two hours, {len(runs)} seeds",
        ("", "events", "after, min"),
        [
            ("silent", f"{len(silent)} of {len(runs)}", _median_text(silent)),
            ("back", f"{len(back)} of {len(runs)}", _median_text(back)),
            ("other silences", str(sum(run.false_silences for run in runs)), ""),
        ],
        "The settings are the defaults. Minutes of event time (median over the seeds) after the "
        "pump's last row, and after its next row.",
    )


def _delay(scored: ScoredRows, fault: TrueFault, level: str, last_time: int) -> float | None:
    """Return the minutes to the first alarmed row up to `last_time`, or None."""
    is_fault_row = (
        (scored.sensor == fault.sensor)
        & (scored.event_time >= fault.first_time)
        & (scored.event_time <= last_time)
    )
    times = scored.event_time[is_fault_row & scored.alarmed(level)]
    return (int(times[0]) - fault.first_time) / _MINUTE_US if len(times) else None


def _fault_table(runs: Sequence[PumpAlarms]) -> Table:
    rows = []
    for fault_number, (name, *_) in enumerate(FAULTS):
        alarms = [run.faults[fault_number] for run in runs]
        critical = [alarm.critical_delay for alarm in alarms if alarm.critical_delay is not None]
        delays = [alarm.any_delay for alarm in alarms if alarm.any_delay is not None]
        open_minutes = [alarm.minutes_open for alarm in alarms if alarm.minutes_open is not None]
        rows.append(
            (
                name,
                f"{len(delays)} of {len(runs)}",
                _median_text(delays),
                f"{len(critical)} of {len(runs)}",
                _median_text(critical),
                f"{_median_text(open_minutes)} / {max(open_minutes, default=0.0):.1f}",
                number([float(alarm.episodes) for alarm in alarms], decimals=1),
                number([float(alarm.alarms) for alarm in alarms], decimals=1),
            )
        )
    return Table(
        f"A fault day of three pumps, {len(runs)} seeds: the faults",
        (
            "",
            "alarmed",
            "after, min",
            "critical in time",
            "after, min",
            "open after the end, min (median / most)",
            "episodes a fault",
            "alarms a fault",
        ),
        rows,
        "Delays and minutes are medians over the seeds. Critical in time: before the last faulty "
        f"row; for the slow rise within {MAX_DELAY_MINUTES[SLOW_RISE]:g} minutes. Episodes a "
        f"fault: those in its rows, and those that begin within {MARGIN_ROWS} rows after it. "
        "Alarms: episodes of at least `warning`.",
    )


def _count_table(runs: Sequence[PumpAlarms]) -> Table:
    return Table(
        "The fault day: episodes a day of all three pumps, mean (lowest to highest)",
        ("", *LEVELS),
        [
            (
                "all",
                *(
                    number([float(run.episodes[level]) for run in runs], decimals=1)
                    for level in LEVELS
                ),
            ),
            (
                "without a faulty row",
                *(
                    number([float(run.others[level]) for run in runs], decimals=1)
                    for level in LEVELS
                ),
            ),
        ],
        "The training rows, scored again with an empty memory: "
        f"{number([run.training_episodes for run in runs], decimals=1)} episodes a pump and day.",
    )


def _median_text(minutes: Sequence[float]) -> str:
    return f"{median(minutes):.1f}" if minutes else NOT_KNOWN
