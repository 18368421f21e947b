"""The forest's kernel: equal to scikit-learn, independent of row ranges, safe on any arrays."""

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
def fitted(**parameters: Any) -> IsolationForest:
    random = np.random.default_rng(3)
    rows = random.normal(size=(500, COLUMNS))
    rows[:, 3] = random.integers(0, 7, 500)  # many equal values, as in dayofweek
    options = {"n_estimators": 30, "max_samples": 128, "random_state": 5} | parameters
    return IsolationForest(**options).fit(rows)


@cache
def forest() -> Forest:
    return forest_from_sklearn(fitted())


def rows_on_thresholds() -> NDArray[np.float64]:
    """Rows with values on a threshold or one float32 beside it, which show a wrong comparison."""
    inner = forest().feature != LEAF
    rows = []
    for column in range(COLUMNS):
        for threshold in forest().threshold[inner & (forest().feature == column)][:60]:
            near = np.float32(threshold)
            steps = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]
            for value in (threshold, float(near), *map(float, steps)):
                row = np.zeros(COLUMNS)
                row[column] = value
                rows.append(row)
    return np.asarray(rows)


def reference_score(forest: Forest, row: NDArray[np.float64]) -> float:
    """Return the score of one row by the paper's definition."""
    total = 0.0
    for root in forest.tree_start[:-1]:
        node = root
        while forest.feature[node] != LEAF:
            value = float(np.float32(row[forest.feature[node]]))
            node = forest.left[node] if value <= forest.threshold[node] else forest.right[node]
        total += float(forest.path_length[node])
    return float(2.0 ** (-total / float(forest.normaliser[0])))


def some_rows(count: int = 300) -> NDArray[np.float64]:
    return np.random.default_rng(11).normal(scale=3, size=(count, COLUMNS))


@pytest.mark.parametrize(
    "parameters",
    [{}, {"max_features": 0.5}, {"max_samples": 2}, {"n_estimators": 1}, {"bootstrap": True}],
    ids=str,
)
def test_scores_equal_those_of_scikit_learn(parameters: dict[str, Any]) -> None:
    estimator = fitted(**parameters)
    rows = some_rows()

    ours = score(forest_from_sklearn(estimator), rows)

    assert np.max(np.abs(ours + estimator.score_samples(rows))) < 1e-12


def test_a_row_exactly_on_a_threshold_goes_to_the_same_child_as_in_scikit_learn() -> None:
    rows = rows_on_thresholds()

    ours = score(forest(), rows)

    theirs = -fitted().score_samples(rows)
    assert np.max(np.abs(ours - theirs)) < 1e-12
    assert len(np.unique(ours)) > 10, "too few different scores to show a wrong comparison"


def test_values_are_compared_as_float32() -> None:
    """Two float64 that round to the same float32 get the same score, as in scikit-learn."""
    rows = rows_on_thresholds()

    assert np.array_equal(score(forest(), rows), score(forest(), rows.astype(np.float32)))


@pytest.mark.parametrize("contamination", [0.01, 0.1, 0.5])
def test_decisions_equal_those_of_scikit_learn(contamination: float) -> None:
    """scikit-learn: below `offset_` is anomalous. Here: above its negative."""
    estimator = fitted(contamination=contamination)
    rows = np.concatenate([some_rows(), rows_on_thresholds()])
    raw = score(forest_from_sklearn(estimator), rows)
    clear = np.abs(raw + estimator.offset_) > 1e-12  # closer ones differ by rounding only

    ours = raw > -estimator.offset_

    assert np.array_equal(ours[clear], (estimator.predict(rows) == -1)[clear])
    assert clear.mean() > 0.9


def test_the_kernel_equals_the_reference_score() -> None:
    rows = np.concatenate([some_rows(60), rows_on_thresholds()[::20]])

    ours = score(forest(), rows)

    assert np.allclose(ours, [reference_score(forest(), row) for row in rows], rtol=0, atol=1e-15)


@settings(max_examples=40, deadline=None)
@given(cuts=st.lists(st.integers(0, 300), max_size=12))
def test_the_bits_of_a_row_do_not_depend_on_the_other_rows(cuts: list[int]) -> None:
    rows = some_rows(300)
    at_once = score(forest(), rows)

    ranges = [score(forest(), row_range) for row_range in np.split(rows, sorted(cuts))]

    assert np.concatenate(ranges).tobytes() == at_once.tobytes()


def test_a_matrix_in_another_memory_order_scores_the_same() -> None:
    rows = some_rows()

    assert np.array_equal(score(forest(), np.asfortranarray(rows)), score(forest(), rows))
    assert np.array_equal(score(forest(), rows[::2]), score(forest(), rows)[::2])


def test_no_rows_give_no_scores() -> None:
    assert score(forest(), np.empty((0, COLUMNS))).shape == (0,)


@pytest.mark.parametrize("shape", [(3, COLUMNS + 1), (3, COLUMNS - 1), (COLUMNS,)])
def test_a_matrix_of_another_width_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="wanted"):
        score(forest(), np.zeros(shape))


def test_the_average_path_length_is_that_of_the_paper() -> None:
    """H(i) is estimated by ln(i) + Euler's constant; one row needs no step, two need one."""
    assert [average_path_length(rows) for rows in (0, 1, 2)] == [0.0, 0.0, 1.0]
    assert average_path_length(256) == pytest.approx(
        2 * (math.log(255) + 0.5772156649015329) - 2 * 255 / 256, abs=1e-12
    )


def test_a_forest_is_restored_from_its_arrays() -> None:
    restored = forest_from_arrays(forest().arrays())

    assert np.array_equal(score(restored, some_rows()), score(forest(), some_rows()))
    assert restored.trees == 30


def changed(name: str, position: int, value: float) -> Forest:
    array = getattr(forest(), name).copy()
    array[position] = value
    return replace(forest(), **{name: array})


def inner_node() -> int:
    return int(np.flatnonzero(forest().feature != LEAF)[1])


def damaged_forests() -> dict[str, Forest]:
    node, last = inner_node(), len(forest().feature) - 1
    return {
        "a cycle to the node itself": changed("left", node, node),
        "a cycle to the root": changed("right", node, 0),
        "a child before all nodes": changed("left", node, -1),
        "a child after all nodes": changed("right", node, last + 1),
        "a child in another tree": changed("left", node, last),
        "a feature that does not exist": changed("feature", node, COLUMNS),
        "a feature below LEAF": changed("feature", node, -2),
        "a threshold that is not finite": changed("threshold", node, math.nan),
        "a path length that is not finite": changed("path_length", last, math.inf),
        "a first tree that starts late": changed("tree_start", 0, 1),
        "an empty tree": changed("tree_start", 1, 0),
        "trees that end too far": changed("tree_start", 30, last + 2),
        "a normaliser of zero": changed("normaliser", 0, 0.0),
        "a normaliser of NaN": changed("normaliser", 0, math.nan),
        "no tree": replace(forest(), tree_start=np.asarray([0], dtype=np.int32)),
        "thresholds in float32": replace(forest(), threshold=forest().threshold.astype(np.float32)),
        "children in int64": replace(forest(), left=forest().left.astype(np.int64)),
        "objects": replace(forest(), path_length=forest().path_length.astype(object)),
        "two dimensions": replace(forest(), right=forest().right[:, np.newaxis]),
        "a shorter array": replace(forest(), right=forest().right[:-1]),
        "two normalisers": replace(forest(), normaliser=np.ones(2)),
        "no columns": replace(forest(), columns=np.empty(0, dtype=np.int32)),
    }


@pytest.mark.parametrize("damage", damaged_forests(), ids=str)
def test_every_damage_to_the_arrays_is_refused(damage: str) -> None:
    with pytest.raises(ModelRefused, match='the array "'):
        forest_from_arrays(damaged_forests()[damage].arrays())


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
    """A changed number is refused, or the walk still ends within the arrays."""
    array = getattr(forest(), name)
    altered = changed(name, position % len(array), value)
    try:
        accepted = forest_from_arrays(altered.arrays())
    except ModelRefused:
        return
    rows = some_rows(5)
    assert np.allclose(score(accepted, rows), [reference_score(accepted, row) for row in rows])
