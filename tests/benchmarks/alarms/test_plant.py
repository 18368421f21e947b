"""Tests of the simulated plant, and of the classical methods that score its rows."""

import numpy as np
import pytest

from benchmarks.quality.alarms.plant_baselines import (
    canonical_variates,
    principal_components,
    var_distance,
)
from benchmarks.quality.alarms.plant_simulation import (
    CLEAN_ROWS,
    FAULT_ROWS,
    FAULTS,
    SIGNALS,
    STEP_SIZE,
    TRAIN_ROWS,
    Place,
    PlantFault,
    simulate_plant,
)
from benchmarks.quality.alarms.ranking import ScoreFunction

FIRST_FAULTY_ROW = TRAIN_ROWS + CLEAN_ROWS


def test_all_faults_of_a_seed_have_the_same_clean_rows_and_other_faulty_rows() -> None:
    plants = [simulate_plant(1, fault, place).readings.values for fault, place in FAULTS]

    for values in plants:
        assert values.shape == (FIRST_FAULTY_ROW + FAULT_ROWS, SIGNALS)
        assert values[:FIRST_FAULTY_ROW].tobytes() == plants[0][:FIRST_FAULTY_ROW].tobytes()
    assert len({values.tobytes() for values in plants}) == len(FAULTS)


def test_a_step_of_one_signal_changes_only_this_signal() -> None:
    step = simulate_plant(1, PlantFault.STEP, Place.SIGNAL).readings.values
    other = simulate_plant(1, PlantFault.STICKING, Place.LOOP).readings.values

    difference = (step - other)[FIRST_FAULTY_ROW:, : SIGNALS - 8]
    (signal,) = np.flatnonzero(difference.any(axis=0))
    assert difference[:, signal] == pytest.approx(np.full(FAULT_ROWS, STEP_SIZE), abs=1e-5)


@pytest.mark.parametrize("baseline", [var_distance, principal_components, canonical_variates])
def test_a_score_has_one_value_for_each_judged_row_and_rises_at_a_step(
    baseline: ScoreFunction,
) -> None:
    score = baseline(simulate_plant(1, PlantFault.STEP, Place.LOOP))

    assert score.shape == (CLEAN_ROWS + FAULT_ROWS,)
    clean, faulty = score[:CLEAN_ROWS], score[CLEAN_ROWS:]
    assert np.median(faulty) > np.quantile(clean, 0.9)
