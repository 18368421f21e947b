"""The forest kernel gives the scores of scikit-learn, and damaged arrays are refused."""

import math
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.forest import (
    LEAF,
    Forest,
    average_path_length,
    forest_from_arrays,
    forest_from_sklearn,
    score,
)

COLUMNS = 4


@cache
def fit_estimator(**parameters: Any) -> IsolationForest:
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(500, COLUMNS))
    # this column has many equal values, like the day of the week
    rows[:, 3] = rng.integers(0, 7, 500)
    options = {"n_estimators": 30, "max_samples": 128, "random_state": 5} | parameters
    return IsolationForest(**options).fit(rows)


@cache
def forest() -> Forest:
    return forest_from_sklearn(fit_estimator())


def rows_on_thresholds() -> NDArray[np.float64]:
    """Return rows with values at a threshold or one float32 step from it."""
    is_inner_node = forest().feature != LEAF
    rows = []
    for column in range(COLUMNS):
        for threshold in forest().threshold[is_inner_node & (forest().feature == column)][:60]:
            threshold_as_float32 = np.float32(threshold)
            neighbouring_values = [
                np.nextafter(threshold_as_float32, np.float32(direction))
                for direction in (-np.inf, np.inf)
            ]
            for value in (threshold, float(threshold_as_float32), *map(float, neighbouring_values)):
                row = np.zeros(COLUMNS)
                row[column] = value
                rows.append(row)
    return np.asarray(rows)


def reference_score(forest: Forest, row: NDArray[np.float64]) -> float:
    """Return the score of one row, computed as the isolation forest paper defines it."""
    total_path_length = 0.0
    for root in forest.tree_start[:-1]:
        node = root
        while forest.feature[node] != LEAF:
            value = float(np.float32(row[forest.feature[node]]))
            node = forest.left[node] if value <= forest.threshold[node] else forest.right[node]
        total_path_length += float(forest.path_length[node])
    return float(2.0 ** (-total_path_length / float(forest.normaliser[0])))


def some_rows(count: int = 300) -> NDArray[np.float64]:
    return np.random.default_rng(11).normal(scale=3, size=(count, COLUMNS))


@pytest.mark.parametrize(
    "parameters",
    [{}, {"max_features": 0.5}, {"max_samples": 2}, {"n_estimators": 1}, {"bootstrap": True}],
    ids=str,
)
def test_scores_equal_those_of_scikit_learn(parameters: dict[str, Any]) -> None:
    estimator = fit_estimator(**parameters)
    rows = some_rows()

    scores = score(forest_from_sklearn(estimator), rows)

    assert np.max(np.abs(scores + estimator.score_samples(rows))) < 1e-12


def test_a_row_exactly_on_a_threshold_goes_to_the_same_child_as_in_scikit_learn() -> None:
    rows = rows_on_thresholds()

    scores = score(forest(), rows)

    expected_scores = -fit_estimator().score_samples(rows)
    assert np.max(np.abs(scores - expected_scores)) < 1e-12
    assert len(np.unique(scores)) > 10, (
        "the test needs scores that differ, otherwise a wrong comparison is not visible"
    )


def test_values_are_compared_as_float32() -> None:
    """Two float64 values that round to the same float32 get the same score, as in scikit-learn."""
    rows = rows_on_thresholds()

    assert np.array_equal(score(forest(), rows), score(forest(), rows.astype(np.float32)))


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_decisions_equal_those_of_scikit_learn(contamination: float) -> None:
    """The score of scikit-learn is the negative of `score`, so the threshold is `-offset_`."""
    estimator = fit_estimator(contamination=contamination)
    rows = np.concatenate([some_rows(), rows_on_thresholds()])
    raw_scores = score(forest_from_sklearn(estimator), rows)
    # For scores closer to the threshold, rounding may change the decision.
    is_far_from_threshold = np.abs(raw_scores + estimator.offset_) > 1e-12

    is_anomaly = raw_scores > -estimator.offset_

    assert np.array_equal(
        is_anomaly[is_far_from_threshold], (estimator.predict(rows) == -1)[is_far_from_threshold]
    )
    assert is_far_from_threshold.mean() > 0.9


def test_the_kernel_equals_the_reference_score() -> None:
    rows = np.concatenate([some_rows(60), rows_on_thresholds()[::20]])

    scores = score(forest(), rows)

    assert np.allclose(scores, [reference_score(forest(), row) for row in rows], rtol=0, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(boundaries=st.lists(st.integers(0, 300), max_size=12))
def test_the_bits_of_a_row_do_not_depend_on_the_other_rows(boundaries: list[int]) -> None:
    rows = some_rows(300)
    scores_at_once = score(forest(), rows)

    scores_by_range = [
        score(forest(), row_range) for row_range in np.split(rows, sorted(boundaries))
    ]

    assert np.concatenate(scores_by_range).tobytes() == scores_at_once.tobytes()


def test_a_matrix_in_another_memory_order_scores_the_same() -> None:
    rows = some_rows()

    assert np.array_equal(score(forest(), np.asfortranarray(rows)), score(forest(), rows))
    assert np.array_equal(score(forest(), rows[::2]), score(forest(), rows)[::2])


def test_no_rows_give_no_scores() -> None:
    assert score(forest(), np.empty((0, COLUMNS))).shape == (0,)


@pytest.mark.parametrize("shape", [(3, COLUMNS + 1), (3, COLUMNS - 1), (COLUMNS,)])
def test_a_matrix_with_another_number_of_columns_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        score(forest(), np.zeros(shape))


def test_the_average_path_length_equals_the_formula_of_the_paper() -> None:
    """The formula estimates the harmonic number H(i) by ln(i) plus Euler's constant."""
    assert [average_path_length(rows) for rows in (0, 1, 2)] == [0.0, 0.0, 1.0]
    assert average_path_length(256) == pytest.approx(
        2 * (math.log(255) + 0.5772156649015329) - 2 * 255 / 256, abs=1e-12
    )


def test_a_forest_is_restored_from_its_arrays() -> None:
    restored_forest = forest_from_arrays(forest().arrays())

    assert np.array_equal(score(restored_forest, some_rows()), score(forest(), some_rows()))
    assert restored_forest.trees == 30


def forest_with(name: str, position: int, value: float) -> Forest:
    array = getattr(forest(), name).copy()
    array[position] = value
    return replace(forest(), **{name: array})


def index_of_inner_node() -> int:
    return int(np.flatnonzero(forest().feature != LEAF)[1])


def damaged_forests() -> dict[str, Forest]:
    node, last_node = index_of_inner_node(), len(forest().feature) - 1
    return {
        "a child that is its own parent": forest_with("left", node, node),
        "a cycle to the root": forest_with("right", node, 0),
        "a child before all nodes": forest_with("left", node, -1),
        "a child after all nodes": forest_with("right", node, last_node + 1),
        "a child in another tree": forest_with("left", node, last_node),
        "a feature that does not exist": forest_with("feature", node, COLUMNS),
        "a feature below LEAF": forest_with("feature", node, -2),
        "a threshold that is not finite": forest_with("threshold", node, math.nan),
        "a path length that is not finite": forest_with("path_length", last_node, math.inf),
        "a first tree that starts late": forest_with("tree_start", 0, 1),
        "an empty tree": forest_with("tree_start", 1, 0),
        "trees that end too far": forest_with("tree_start", 30, last_node + 2),
        "a normaliser of zero": forest_with("normaliser", 0, 0.0),
        "a normaliser of NaN": forest_with("normaliser", 0, math.nan),
        "no tree": replace(forest(), tree_start=np.asarray([0], dtype=np.int32)),
        "thresholds in float32": replace(forest(), threshold=forest().threshold.astype(np.float32)),
        "children in int64": replace(forest(), left=forest().left.astype(np.int64)),
        "objects": replace(forest(), path_length=forest().path_length.astype(object)),
        "two dimensions": replace(forest(), right=forest().right[:, np.newaxis]),
        "a shorter array": replace(forest(), right=forest().right[:-1]),
        "two normalisers": replace(forest(), normaliser=np.ones(2)),
        "no columns": replace(forest(), columns=np.empty(0, dtype=np.int32)),
    }


@pytest.mark.parametrize("damage_name", damaged_forests(), ids=str)
def test_every_damage_to_the_arrays_is_refused(damage_name: str) -> None:
    with pytest.raises(ModelRefused, match='the array "'):
        forest_from_arrays(damaged_forests()[damage_name].arrays())


@pytest.mark.parametrize("name", forest().arrays())
def test_a_missing_array_is_refused(name: str) -> None:
    arrays = forest().arrays()
    del arrays[name]

    with pytest.raises(ModelRefused, match=f'the array "{name}" is missing'):
        forest_from_arrays(arrays)


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(["tree_start", "feature", "left", "right"]),
    position=st.integers(0, 10_000),
    value=st.integers(-(2**31), 2**31 - 1) | st.integers(-3, 40),
)
def test_every_accepted_forest_can_be_walked(name: str, position: int, value: int) -> None:
    """A forest with a changed number is refused, or every walk through it still ends at a leaf."""
    array = getattr(forest(), name)
    changed_forest = forest_with(name, position % len(array), value)
    try:
        accepted_forest = forest_from_arrays(changed_forest.arrays())
    except ModelRefused:
        return
    rows = some_rows(5)
    assert np.allclose(
        score(accepted_forest, rows), [reference_score(accepted_forest, row) for row in rows]
    )
