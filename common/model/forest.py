"""An isolation forest as arrays, and the kernel that scores rows with it.

Raw score after Liu, Ting, Zhou, "Isolation Forest" (ICDM 2008), eq. 2: 2 ** (-E[h(x)] / c(n)).
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.forest_heap import ForestHeap, add_path_lengths, build_heap
from sensorwatch.common.row_executor import RowExecutor, serial

LEAF = -1
EULER_GAMMA = float(np.euler_gamma)


@dataclass(frozen=True)
class Forest:
    """Nodes of all trees, one after the other; children are absolute positions."""

    tree_start: NDArray[np.int32]
    """(trees + 1,) position of each tree's root, then the number of nodes."""
    feature: NDArray[np.int32]
    """(nodes,) column compared at the node; LEAF at a leaf."""
    threshold: NDArray[np.float64]
    """(nodes,) go left where float32(x) <= threshold."""
    left: NDArray[np.int32]
    right: NDArray[np.int32]
    path_length: NDArray[np.float64]
    """(nodes,) at a leaf: edges from the root plus c(rows in the leaf)."""
    normaliser: NDArray[np.float64]
    """(1,) trees * c(max_samples)."""
    columns: NDArray[np.int32]
    """(1,) features that a row must have."""

    @property
    def trees(self) -> int:
        """How many trees there are."""
        return len(self.tree_start) - 1

    @cached_property
    def heap(self) -> ForestHeap | None:
        """The same trees laid out for speed; None where they are too deep for that."""
        return build_heap(
            tree_start=self.tree_start,
            feature=self.feature,
            threshold=self.threshold,
            left=self.left,
            right=self.right,
            path_length=self.path_length,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def forest_from_sklearn(estimator: Any) -> Forest:
    """Take the arrays out of a fitted scikit-learn IsolationForest."""
    arrays_by_name: dict[str, list[NDArray[Any]]] = {name: [] for name in _NODE_ARRAYS}
    start = [0]
    trees = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    for fitted, feature_subset in trees:
        for name, array in _tree_arrays(
            fitted.tree_, np.asarray(feature_subset), start[-1]
        ).items():
            arrays_by_name[name].append(array)
        start.append(start[-1] + fitted.tree_.node_count)
    normaliser = len(estimator.estimators_) * average_path_length(estimator.max_samples_)
    return Forest(
        tree_start=np.asarray(start, dtype=np.int32),
        normaliser=np.asarray([normaliser], dtype=np.float64),
        columns=np.asarray([estimator.n_features_in_], dtype=np.int32),
        **{name: np.concatenate(arrays) for name, arrays in arrays_by_name.items()},
    )


def forest_from_arrays(arrays: dict[str, NDArray[Any]]) -> Forest:
    """Build a forest from stored arrays after checking everything the kernel relies on.

    Raises ModelRefused where an array is missing, of another type, or would send a walk out of
    bounds or round in a circle.
    """
    try:
        forest = Forest(**{field.name: arrays[field.name] for field in fields(Forest)})
    except KeyError as error:
        raise ModelRefused(f"the forest has no array {error}") from error
    problem = _find_problem(forest)
    if problem:
        raise ModelRefused(f"the forest's arrays are damaged: {problem}")
    return forest


def score(
    forest: Forest, matrix: NDArray[np.float64], *, row_executor: RowExecutor = serial
) -> NDArray[np.float64]:
    """Raw score (n,) of each row of `matrix` (n, features): higher is more anomalous, 0 to 1.

    Equal to scikit-learn's `-score_samples` within 1e-12. A row's bits do not depend on the rows
    beside it: each row is summed on its own, tree after tree.
    """
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != forest.columns[0]:
        raise ValueError(f"matrix of shape {rows.shape}, wanted (n, {forest.columns[0]})")
    raw = np.empty(len(rows), dtype=np.float64)
    row_executor(lambda begin, end: _score(forest, rows[begin:end], raw[begin:end]), len(rows))
    return raw


def average_path_length(rows: float) -> float:
    """c(n): the average depth of an unsuccessful search in a tree of n rows (the paper's eq. 1)."""
    if rows <= 1:
        return 0.0
    if rows <= 2:
        return 1.0
    return 2.0 * (math.log(rows - 1.0) + EULER_GAMMA) - 2.0 * (rows - 1.0) / rows


_NODE_ARRAYS = ("feature", "threshold", "left", "right", "path_length")


def _score(forest: Forest, rows: NDArray[np.float32], raw: NDArray[np.float64]) -> None:
    if forest.heap is not None:
        add_path_lengths(forest.heap, rows, raw)
    else:
        _add_path_lengths(
            rows,
            forest.tree_start,
            forest.feature,
            forest.threshold,
            forest.left,
            forest.right,
            forest.path_length,
            raw,
        )
    path_lengths_to_scores(raw, forest.normaliser[0])


def _tree_arrays(tree: Any, feature_subset: NDArray[Any], start: int) -> dict[str, NDArray[Any]]:
    leaf = tree.children_left == -1
    depth = _node_depths(tree.children_left, tree.children_right)
    leaf_extra = np.asarray([average_path_length(rows) for rows in tree.n_node_samples])
    return {
        "feature": np.where(leaf, LEAF, feature_subset[np.where(leaf, 0, tree.feature)]).astype(
            np.int32
        ),
        "threshold": np.where(leaf, 0.0, tree.threshold).astype(np.float64),
        "left": np.where(leaf, LEAF, tree.children_left + start).astype(np.int32),
        "right": np.where(leaf, LEAF, tree.children_right + start).astype(np.int32),
        "path_length": np.where(leaf, depth + leaf_extra, 0.0),
    }


def _node_depths(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    depth = np.zeros(len(left), dtype=np.float64)
    for node in range(len(left)):  # a parent stands before its children
        if left[node] != -1:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _find_problem(forest: Forest) -> str | None:
    for name, expected_dtype in _ARRAY_DTYPES.items():
        array = getattr(forest, name)
        if array.dtype != expected_dtype or array.ndim != 1:
            return (
                f"{name} is {array.dtype} with {array.ndim} dimensions, wanted {expected_dtype}, 1"
            )
    nodes = len(forest.feature)
    if any(len(getattr(forest, name)) != nodes for name in _NODE_ARRAYS):
        return "arrays of different lengths"
    start = forest.tree_start
    if len(start) < 2 or start[0] != 0 or start[-1] != nodes or np.any(np.diff(start) < 1):
        return "tree_start does not divide the nodes into trees"
    if len(forest.columns) != 1 or len(forest.normaliser) != 1 or not forest.normaliser[0] > 0:
        return "columns or normaliser is not one positive number"
    return _find_node_problem(forest)


def _find_node_problem(forest: Forest) -> str | None:
    inner = np.flatnonzero(forest.feature != LEAF)
    end = np.repeat(forest.tree_start[1:], np.diff(forest.tree_start))
    if np.any((forest.feature < LEAF) | (forest.feature >= forest.columns[0])):
        return "a node names a feature that is not there"
    for child in (forest.left[inner], forest.right[inner]):
        if np.any((child <= inner) | (child >= end[inner])):
            return "a child stands before its parent or in another tree"
    if not np.all(np.isfinite(forest.threshold)) or not np.all(np.isfinite(forest.path_length)):
        return "a threshold or path length is not finite"
    return None


_ARRAY_DTYPES = {
    "tree_start": np.int32,
    "feature": np.int32,
    "threshold": np.float64,
    "left": np.int32,
    "right": np.int32,
    "path_length": np.float64,
    "normaliser": np.float64,
    "columns": np.int32,
}


@kernel
def _add_path_lengths(
    rows: NDArray[np.float32],
    tree_start: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    path_length: NDArray[np.float64],
    total: NDArray[np.float64],
) -> None:
    # Tree by tree, so that one tree's nodes stay in the cache; each row still sums in tree order.
    total[:] = 0.0
    for tree in range(len(tree_start) - 1):
        for row in range(rows.shape[0]):
            node = tree_start[tree]
            while feature[node] >= 0:
                # The row's float32 is compared with the float64 threshold, as scikit-learn does.
                goes_left = rows[row, feature[node]] <= threshold[node]
                node = left[node] if goes_left else right[node]
            total[row] += path_length[node]


# Compiled because numpy's own power uses other instructions for the last rows of an array than for
# the first, so that a row's last bit would depend on how many rows came with it.
@kernel
def path_lengths_to_scores(raw: NDArray[np.float64], normaliser: float) -> None:
    """Turn summed path lengths into raw scores, in place."""
    for row in range(len(raw)):
        raw[row] = 2.0 ** (-raw[row] / normaliser)
