"""Scores from trees in heap layout have the same bits as scores from the original trees."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from sensorwatch.common.model.forest import Forest, forest_from_sklearn, score
from sensorwatch.common.model.forest_heap import MAX_COLUMNS, WALK_WIDTH

COLUMNS = 5


@cache
def forest(max_samples: int = 256, columns: int = COLUMNS) -> Forest:
    rows = np.random.default_rng(7).normal(size=(2_000, columns))
    return forest_from_sklearn(
        IsolationForest(n_estimators=40, max_samples=max_samples, random_state=1).fit(rows)
    )


def without_heap(forest: Forest) -> Forest:
    """Return the same forest, with its trees only in the original layout."""
    forest_without_heap = replace(forest)
    vars(forest_without_heap)["heap"] = None
    return forest_without_heap


def rows_with_ties() -> NDArray[np.float64]:
    rng = np.random.default_rng(2)
    rows = rng.normal(scale=2, size=(2_000, COLUMNS))
    thresholds = rng.choice(forest().threshold, size=rows.shape)
    is_tied = rng.random(rows.shape) < 0.5
    return np.where(is_tied, thresholds.astype(np.float32), rows)


def test_heaps_give_the_same_bits_as_the_original_trees() -> None:
    rows = rows_with_ties()

    assert forest().heap is not None
    assert np.array_equal(score(forest(), rows), score(without_heap(forest()), rows))


@pytest.mark.parametrize(
    "count", [0, 1, 2, WALK_WIDTH - 1, WALK_WIDTH, WALK_WIDTH + 1, 3 * WALK_WIDTH + 5]
)
def test_any_number_of_rows_gets_the_same_bits(count: int) -> None:
    rows = rows_with_ties()

    assert np.array_equal(score(forest(), rows[:count]), score(forest(), rows)[:count])


@pytest.mark.parametrize("trees", [1, WALK_WIDTH - 1, WALK_WIDTH, WALK_WIDTH + 1])
def test_any_number_of_trees_can_be_walked(trees: int) -> None:
    rows = np.random.default_rng(5).normal(size=(50, COLUMNS))
    estimator = IsolationForest(n_estimators=trees, random_state=0).fit(rows)

    assert np.max(
        np.abs(score(forest_from_sklearn(estimator), rows) + estimator.score_samples(rows))
    ) < (1e-12)


def test_trees_too_deep_for_a_heap_are_walked_in_the_original_layout() -> None:
    deep_forest = forest(max_samples=1_000)
    rows = rows_with_ties()

    assert deep_forest.heap is None
    assert np.array_equal(score(deep_forest, rows), score(without_heap(deep_forest), rows))


def test_a_forest_with_more_features_than_a_heap_allows_is_walked_in_the_original_layout() -> None:
    wide_forest = forest(columns=MAX_COLUMNS + 40)
    rows = np.random.default_rng(3).normal(size=(40, MAX_COLUMNS + 40))

    assert wide_forest.feature.max() >= MAX_COLUMNS
    assert wide_forest.heap is None
    assert np.array_equal(score(wide_forest, rows), score(without_heap(wide_forest), rows))
