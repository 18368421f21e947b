"""Measure which faults are found in a simulated plant with many signals and few rows."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.quality.alarms.figures import percent
from benchmarks.quality.alarms.plant_baselines import (
    SMOOTHING_SPAN,
    canonical_variates,
    principal_components,
    var_distance,
)
from benchmarks.quality.alarms.plant_simulation import (
    CLEAN_ROWS,
    FAULT_ROWS,
    FAULTS,
    SIGNALS,
    TRAIN_ROWS,
    simulate_plant,
)
from benchmarks.quality.alarms.ranking import FALSE_ROWS, ScoreFunction, rows_above_limit
from benchmarks.quality.alarms.scored_rows import ANY, score
from benchmarks.quality.compared_detectors import DEFAULT_NAME
from benchmarks.report.figures_table import Table
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.unregistered_model import fit_with_memory

BASELINES: Mapping[str, ScoreFunction] = {
    f"VAR(1), Ledoit-Wolf, EWMA({SMOOTHING_SPAN})": var_distance,
    "PCA T2 + Q": principal_components,
    "CVA": canonical_variates,
}
OWN_THRESHOLD = f"{DEFAULT_NAME}, own threshold"
DETECTORS = (DEFAULT_NAME, *BASELINES, OWN_THRESHOLD)
_IS_CLEAN = np.arange(CLEAN_ROWS + FAULT_ROWS) < CLEAN_ROWS


@dataclass(frozen=True, slots=True)
class PlantResult:
    """Results of one seed."""

    shares_found: dict[str, list[float]]
    """For each of DETECTORS and each fault of FAULTS, the share of the faulty rows that is
    found."""
    false_share: float
    """Share of the clean rows for which the default detector raises an alarm."""


def table(*, seeds: int) -> Table:
    """Measure all detectors on several plants, and return the table of faulty rows found."""
    plants = [measure(seed) for seed in range(seeds)]
    rows = [
        (
            f"{fault}, {place}",
            *(
                percent([plant.shares_found[name][number] for plant in plants])
                for name in DETECTORS
            ),
        )
        for number, (fault, place) in enumerate(FAULTS)
    ]
    rows.append(
        (
            "all",
            *(
                percent([float(np.mean(plant.shares_found[name])) for plant in plants])
                for name in DETECTORS
            ),
        )
    )
    limit = f"{100 * FALSE_ROWS:g} %"
    limits = [limit] * (len(DETECTORS) - 1)
    false_shares = [plant.false_share for plant in plants]
    rows.append(("clean rows alarmed", *limits, percent(false_shares, decimals=2)))
    return Table(
        f"A plant of {SIGNALS} signals, {TRAIN_ROWS} training rows: faulty rows found",
        ("", *DETECTORS),
        rows,
        f"{seeds} seeds: mean (lowest to highest). Every fault has {FAULT_ROWS} rows, after "
        f"{CLEAN_ROWS:,} clean rows. Limit of a score: {limit} of the clean rows are above it. The "
        "last column uses the alarms of the default detector, at any severity.",
    )


def measure(seed: int) -> PlantResult:
    """Fit once on the training rows of a plant, and score each fault separately."""
    plants = [simulate_plant(seed, fault, place) for fault, place in FAULTS]
    detector, memory = fit_with_memory(plants[0].training, plants[0].schema, TrainerSettings())
    flags: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in DETECTORS}
    for rows in plants:
        scored = score(rows.judged, detector, deepcopy(memory))
        flags[DEFAULT_NAME].append(rows_above_limit(scored.raw_score, _IS_CLEAN))
        for name, baseline in BASELINES.items():
            flags[name].append(rows_above_limit(baseline(rows), _IS_CLEAN))
        flags[OWN_THRESHOLD].append(scored.alarmed(ANY))
    return PlantResult(
        {
            name: [float(flag[~_IS_CLEAN].mean()) for flag in shares_of_faults]
            for name, shares_of_faults in flags.items()
        },
        float(flags[OWN_THRESHOLD][0][_IS_CLEAN].mean()),
    )
