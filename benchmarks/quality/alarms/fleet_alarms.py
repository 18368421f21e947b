"""Measure alarms on a simulated fleet: false alarms per sensor-day, precision, and faults found."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms import fleet_simulation as simulation
from benchmarks.quality.alarms.episodes import (
    EpisodeTable,
    Matches,
    TrueFault,
    episode_table,
    match,
    peak_at_rate,
    precision,
    share_found,
)
from benchmarks.quality.alarms.figures import median_and_p90, number, percent
from benchmarks.quality.alarms.scored_rows import LEVELS, score
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.unregistered_model import fit_with_memory

MARGIN_ROWS = 30
RARE_FALSE_ALARM_RATE = 0.01
"""False alarms per sensor-day in the last row of the table: one in 100 sensor-days."""
BUDGETS = tuple(np.geomspace(0.003, 1.0, 12).tolist())
"""False alarms per sensor-day for which the plot shows the share of faults found."""


@dataclass(frozen=True, slots=True)
class LabelledAlarms:
    """The episodes of one run, and the faults that they should report."""

    episodes: EpisodeTable
    faults: list[TrueFault]
    matches: Matches
    sensor_days: float

    def above_peak_at(self, rate: float) -> NDArray[np.bool_]:
        """Return a mask of the episodes above the peak at `rate` false episodes per sensor-day."""
        peak, is_false = self.episodes.peak, ~self.matches.is_true
        return peak > peak_at_rate(peak, is_false, days=self.sensor_days, rate=rate)

    def share_found(self, is_counted: NDArray[np.bool_], *, name: str | None = None) -> float:
        """Return the share of the faults (of one name) that a counted episode reports."""
        numbers = [number for number, fault in enumerate(self.faults) if name in (None, fault.name)]
        return share_found(self.matches, is_counted, faults=numbers)


@dataclass(frozen=True, slots=True)
class FleetAlarms:
    """Results of one seed."""

    faulty: LabelledAlarms
    drifting: LabelledAlarms

    @property
    def before_drifts(self) -> LabelledAlarms:
        """Return the alarms with drifts moved to healthy rows, to count alarms by chance."""
        shift = (simulation.ROWS_BETWEEN_DRIFTS // 2) * simulation.STEP_US
        moved_faults = [
            replace(drift, first_time=drift.first_time - shift, last_time=drift.last_time - shift)
            for drift in self.drifting.faults
        ]
        episodes = self.drifting.episodes
        return replace(
            self.drifting, faults=moved_faults, matches=match(episodes, moved_faults, margin=0)
        )


def measure(seed: int, *, sensors: int = simulation.SENSORS) -> FleetAlarms:
    """Train on the first clean days of a fleet; score its rows with faults, then with drifts."""
    fleet = simulation.clean_fleet(seed, sensors=sensors)
    detector, memory = fit_with_memory(fleet.training, fleet.schema, TrainerSettings())
    runs = []
    for labelled in (
        simulation.faulty_fleet(seed, sensors=sensors),
        simulation.drifting_fleet(fleet, seed),
    ):
        episodes = episode_table(score(labelled.readings, detector, deepcopy(memory)))
        matches = match(episodes, labelled.faults, margin=MARGIN_ROWS * simulation.STEP_US)
        runs.append(LabelledAlarms(episodes, labelled.faults, matches, fleet.judged_sensor_days))
    return FleetAlarms(*runs)


def tables(runs: Sequence[FleetAlarms]) -> list[Table]:
    """Return two tables: the alarms by severity, and the faults found by kind."""
    return [_level_table(runs), _kind_table(runs)]


def found_by_budget(runs: Sequence[FleetAlarms]) -> dict[str, list[tuple[float, float]]]:
    """Return the share of faults found at each of BUDGETS, by kind, as points of a curve."""
    kinds = sorted({fault.name for run in runs for fault in run.faulty.faults})
    faulty, drifting = [run.faulty for run in runs], [run.drifting for run in runs]
    curves = {kind: _budget_points(faulty, kind) for kind in kinds}
    drift_name = f"drift, {simulation.DRIFT_SIZE:g} sigma in {simulation.DRIFT_ROWS} rows"
    return {**curves, drift_name: _budget_points(drifting)}


def _budget_points(
    runs: Sequence[LabelledAlarms], kind: str | None = None
) -> list[tuple[float, float]]:
    """Return (rate, mean share found) at each of BUDGETS. `kind`: None for all kinds."""
    return [
        (
            rate,
            float(
                np.nanmean([run.share_found(run.above_peak_at(rate), name=kind) for run in runs])
            ),
        )
        for rate in BUDGETS
    ]


def _level_table(runs: Sequence[FleetAlarms]) -> Table:
    rows = [
        (level, *_cells(runs, [_CountedAlarms.alarms_of_severity(run, level) for run in runs]))
        for level in LEVELS
    ]
    rows.append(
        (
            f"peak at {RARE_FALSE_ALARM_RATE:g} false per sensor-day",
            *_cells(
                runs, [_CountedAlarms.alarms_at_rate(run, RARE_FALSE_ALARM_RATE) for run in runs]
            ),
        )
    )
    first_seed_alarms = runs[0].faulty
    return Table(
        f"Alarms of a simulated fleet, {len(runs)} seeds: mean (lowest to highest)",
        (
            "",
            "false per sensor-day",
            "of which soon after a fault",
            "precision",
            "faults found",
            "alarms a found fault (median, p90)",
            "drift found",
            "by chance",
        ),
        rows,
        f"After {simulation.TRAIN_DAYS} clean days of training, "
        f"{first_seed_alarms.sensor_days:g} sensor-days "
        "are judged, with one row per 10 minutes. The first seed has "
        f"{len(first_seed_alarms.faults)} faults of {simulation.FAULT_SIZE:g} sigma. An alarm "
        "is an episode. It is true if one of its rows is "
        f"faulty. An alarm that begins within {MARGIN_ROWS} rows after a fault counts as "
        "false, and also as an alarm of that fault. A row of the table counts the alarms with at "
        "least its severity. The last row counts episodes of any severity by their peak raw score. "
        f"A drift has {simulation.DRIFT_SIZE:g} sigma over {simulation.DRIFT_ROWS} rows in one "
        "signal, without other faults. It is found by chance if one of as many healthy rows before "
        "it has an alarm.",
    )


@dataclass(frozen=True, slots=True)
class _CountedAlarms:
    """Masks of the episodes of one run that count as alarms."""

    faulty: NDArray[np.bool_]
    drifting: NDArray[np.bool_]

    @staticmethod
    def alarms_of_severity(run: FleetAlarms, level: str) -> "_CountedAlarms":
        return _CountedAlarms(
            run.faulty.episodes.reaches(level), run.drifting.episodes.reaches(level)
        )

    @staticmethod
    def alarms_at_rate(run: FleetAlarms, rate: float) -> "_CountedAlarms":
        return _CountedAlarms(run.faulty.above_peak_at(rate), run.drifting.above_peak_at(rate))


def _cells(runs: Sequence[FleetAlarms], counted: Sequence[_CountedAlarms]) -> tuple[str, ...]:
    alarms_and_masks = [
        (run.faulty, is_counted.faulty) for run, is_counted in zip(runs, counted, strict=True)
    ]
    false_rates = [
        float((is_counted & ~alarms.matches.is_true).sum()) / alarms.sensor_days
        for alarms, is_counted in alarms_and_masks
    ]
    rates_after = [
        float((is_counted & alarms.matches.is_near & ~alarms.matches.is_true).sum())
        / alarms.sensor_days
        for alarms, is_counted in alarms_and_masks
    ]
    alarms_per_fault = [
        float(is_counted[near_episodes].sum())
        for alarms, is_counted in alarms_and_masks
        for near_episodes, true_episodes in zip(
            alarms.matches.near_episodes_by_fault, alarms.matches.episodes_by_fault, strict=True
        )
        if is_counted[true_episodes].any()
    ]
    return (
        number(false_rates, decimals=3),
        number(rates_after, decimals=3),
        percent([precision(alarms.matches.is_true, mask) for alarms, mask in alarms_and_masks]),
        percent([alarms.share_found(mask) for alarms, mask in alarms_and_masks]),
        median_and_p90(alarms_per_fault),
        *(
            percent(
                [
                    alarms.share_found(is_counted.drifting)
                    for alarms, is_counted in zip(drifts, counted, strict=True)
                ]
            )
            for drifts in (
                [run.drifting for run in runs],
                [run.before_drifts for run in runs],
            )
        ),
    )


def _kind_table(runs: Sequence[FleetAlarms]) -> Table:
    kinds = sorted({fault.name for run in runs for fault in run.faulty.faults})
    rows = [
        (
            f"{kind} ({sum(fault.name == kind for run in runs for fault in run.faulty.faults)})",
            *(
                percent(
                    [
                        run.faulty.share_found(run.faulty.episodes.reaches(level), name=kind)
                        for run in runs
                    ]
                )
                for level in LEVELS
            ),
            percent(
                [
                    run.faulty.share_found(
                        run.faulty.above_peak_at(RARE_FALSE_ALARM_RATE), name=kind
                    )
                    for run in runs
                ]
            ),
        )
        for kind in kinds
    ]
    return Table(
        "Faults of the simulated fleet found, by kind (number of faults) and severity",
        ("", *LEVELS, f"at {RARE_FALSE_ALARM_RATE:g} false per sensor-day"),
        rows,
    )
