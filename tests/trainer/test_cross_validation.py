"""The folds of the cross-validation: the newest blocks are scored like rows after training."""

from dataclasses import replace

from sensorwatch.trainer.cross_validation import out_of_fold_scores
from tests.reading_builders import a_schema
from tests.trainer.training_builders import TRAINER_SETTINGS, simulated_readings


def test_the_newest_blocks_are_scored_without_the_rows_after_them() -> None:
    readings = simulated_readings(2_000)
    changed_values = readings.values.copy()
    changed_values[1_800:] *= 1.5
    changed_readings = replace(readings, values=changed_values)

    scores, changed_scores = (
        out_of_fold_scores(rows, a_schema(), TRAINER_SETTINGS, period=0)
        for rows in (readings, changed_readings)
    )

    is_same = (scores.components == changed_scores.components).all(axis=1)
    assert is_same[(scores.row >= 1_400) & (scores.row < 1_800)].all()
    assert not is_same[scores.row < 1_200].any()
