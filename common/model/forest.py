"""The stored arrays of an isolation forest, and the kernel that scores rows with them.

The raw score is equation 2 of Liu, Ting, Zhou, "Isolation Forest" (ICDM 2008):
2 ** (-E[h(x)] / c(n)).
"""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.forest_heap import ForestHeap, add_path_lengths, build_heap
from sensorwatch.common.model.stored_arrays import require, stored_array
from sensorwatch.common.row_executor import RowExecutor, run_serially

LEAF = -1
"""Value of `Forest.feature`, `Forest.left` and `Forest.right` at a leaf."""
EULER_GAMMA = float(np.euler_gamma)


@dataclass(frozen=True)
class Forest:
    """An isolation forest; the arrays contain the nodes of all trees, tree after tree."""

    tree_start: NDArray[np.int32]
    """Shape (trees + 1,). Position of each tree's root, then the number of nodes."""
    feature: NDArray[np.int32]
    """Shape (nodes,). Matrix column whose value the node compares; LEAF at a leaf."""
    threshold: NDArray[np.float64]
    """Shape (nodes,). A row goes to the left child if float32(x) <= threshold."""
    left: NDArray[np.int32]
    """Shape (nodes,). Position of the left child among all nodes; LEAF at a leaf."""
    right: NDArray[np.int32]
    """Shape (nodes,). Position of the right child among all nodes; LEAF at a leaf."""
    path_length: NDArray[np.float64]
    """Shape (nodes,). At a leaf: number of edges from the root, plus `average_path_length` of the
    leaf's rows."""
    normaliser: NDArray[np.float64]
    """Shape (1,). Number of trees * `average_path_length(max_samples)`."""
    columns: NDArray[np.int32]
    """Shape (1,). Number of features of a row."""

    @property
    def trees(self) -> int:
        """Number of trees."""
        return len(self.tree_start) - 1

    @cached_property
    def heap(self) -> ForestHeap | None:
        """The trees in the fast layout of `forest_heap`, or None if the trees do not fit."""
        return build_heap(
            tree_start=self.tree_start,
            feature=self.feature,
            threshold=self.threshold,
            left=self.left,
            right=self.right,
            path_length=self.path_length,
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the forest by name, as a model version stores them."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def forest_from_sklearn(estimator: Any) -> Forest:
    """Return the forest of a fitted scikit-learn IsolationForest."""
    arrays_by_name: dict[str, list[NDArray[Any]]] = {name: [] for name in _NODE_ARRAYS}
    tree_starts = [0]
    trees = zip(estimator.estimators_, estimator.estimators_features_, strict=True)
    for fitted_tree, feature_subset in trees:
        for name, node_array in _tree_arrays(
            fitted_tree.tree_, np.asarray(feature_subset), tree_starts[-1]
        ).items():
            arrays_by_name[name].append(node_array)
        tree_starts.append(tree_starts[-1] + fitted_tree.tree_.node_count)
    normaliser = len(estimator.estimators_) * average_path_length(estimator.max_samples_)
    return Forest(
        tree_start=np.asarray(tree_starts, dtype=np.int32),
        normaliser=np.asarray([normaliser], dtype=np.float64),
        columns=np.asarray([estimator.n_features_in_], dtype=np.int32),
        **{name: np.concatenate(arrays) for name, arrays in arrays_by_name.items()},
    )


def forest_from_arrays(arrays: dict[str, NDArray[Any]]) -> Forest:
    """Build a forest from stored arrays; check all properties that the kernel requires.

    Raises ModelRefused if an array is missing or has a wrong dtype. Also raises it if the kernel
    could read outside the arrays, or could run forever.
    """
    feature = stored_array(arrays, "feature", np.int32, (None,))
    forest = Forest(
        tree_start=stored_array(arrays, "tree_start", np.int32, (None,)),
        feature=feature,
        threshold=stored_array(arrays, "threshold", np.float64, feature.shape),
        left=stored_array(arrays, "left", np.int32, feature.shape),
        right=stored_array(arrays, "right", np.int32, feature.shape),
        path_length=stored_array(arrays, "path_length", np.float64, feature.shape),
        normaliser=stored_array(arrays, "normaliser", np.float64, (1,)),
        columns=stored_array(arrays, "columns", np.int32, (1,)),
    )
    _check_trees(forest)
    _check_nodes(forest)
    return forest


def score(
    forest: Forest, matrix: NDArray[np.float64], *, row_executor: RowExecutor = run_serially
) -> NDArray[np.float64]:
    """Return the raw score (n,) of each row of `matrix` (n, features), between 0 and 1.

    A higher score is more anomalous. The score equals scikit-learn's `-score_samples` within 1e-12.
    The bits of a row's score do not depend on the other rows. Raises ValueError if the matrix has
    the wrong number of columns.
    """
    rows = np.ascontiguousarray(matrix, dtype=np.float32)
    if rows.ndim != 2 or rows.shape[1] != forest.columns[0]:
        raise ValueError(f"the matrix has shape {rows.shape}, wanted (n, {forest.columns[0]})")
    raw_scores = np.empty(len(rows), dtype=np.float64)
    row_executor(
        lambda begin, end: _score(forest, rows[begin:end], raw_scores[begin:end]), len(rows)
    )
    return raw_scores


def average_path_length(rows: float) -> float:
    """Return c(n), equation 1: the mean depth of an unsuccessful search in a tree of n rows."""
    if rows <= 1:
        return 0.0
    if rows <= 2:
        return 1.0
    return 2.0 * (math.log(rows - 1.0) + EULER_GAMMA) - 2.0 * (rows - 1.0) / rows


_NODE_ARRAYS = ("feature", "threshold", "left", "right", "path_length")


def _score(forest: Forest, rows: NDArray[np.float32], raw_scores: NDArray[np.float64]) -> None:
    if forest.heap is not None:
        add_path_lengths(forest.heap, rows, raw_scores)
    else:
        _add_path_lengths(
            rows,
            forest.tree_start,
            forest.feature,
            forest.threshold,
            forest.left,
            forest.right,
            forest.path_length,
            raw_scores,
        )
    path_lengths_to_scores(raw_scores, forest.normaliser[0])


def _tree_arrays(
    tree: Any, feature_subset: NDArray[Any], first_node: int
) -> dict[str, NDArray[Any]]:
    is_leaf = tree.children_left == -1
    depth = _node_depths(tree.children_left, tree.children_right)
    leaf_path_lengths = np.asarray([average_path_length(rows) for rows in tree.n_node_samples])
    return {
        "feature": np.where(
            is_leaf, LEAF, feature_subset[np.where(is_leaf, 0, tree.feature)]
        ).astype(np.int32),
        "threshold": np.where(is_leaf, 0.0, tree.threshold).astype(np.float64),
        "left": np.where(is_leaf, LEAF, tree.children_left + first_node).astype(np.int32),
        "right": np.where(is_leaf, LEAF, tree.children_right + first_node).astype(np.int32),
        "path_length": np.where(is_leaf, depth + leaf_path_lengths, 0.0),
    }


def _node_depths(left: NDArray[Any], right: NDArray[Any]) -> NDArray[np.float64]:
    depth = np.zeros(len(left), dtype=np.float64)
    for node in range(len(left)):  # a parent node comes before its children
        if left[node] != -1:
            depth[left[node]] = depth[right[node]] = depth[node] + 1
    return depth


def _check_trees(forest: Forest) -> None:
    tree_start, node_count, normaliser = (
        forest.tree_start,
        len(forest.feature),
        forest.normaliser[0],
    )
    divides_nodes = (
        len(tree_start) > 1
        and tree_start[0] == 0
        and tree_start[-1] == node_count
        and np.all(np.diff(tree_start) > 0)
    )
    require(
        divides_nodes,
        "tree_start",
        actual="positions that do not divide the nodes into trees",
        wanted=f"rising positions from 0 to {node_count}",
    )
    require(normaliser > 0, "normaliser", actual=str(normaliser), wanted="a positive number")


def _check_nodes(forest: Forest) -> None:
    feature, columns = forest.feature, forest.columns[0]
    wrong_feature = np.flatnonzero((feature < LEAF) | (feature >= columns))
    require(
        len(wrong_feature) == 0,
        "feature",
        actual=f"{len(wrong_feature)} nodes with a feature that does not exist",
        wanted=f"{LEAF} to {columns - 1}",
    )
    inner_nodes = np.flatnonzero(feature != LEAF)
    tree_end = np.repeat(forest.tree_start[1:], np.diff(forest.tree_start))[inner_nodes]
    for name, children in (
        ("left", forest.left[inner_nodes]),
        ("right", forest.right[inner_nodes]),
    ):
        wrong_child = np.flatnonzero((children <= inner_nodes) | (children >= tree_end))
        require(
            len(wrong_child) == 0,
            name,
            actual=f"{len(wrong_child)} children before their parent or in another tree",
            wanted="children after their parent in the same tree",
        )


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
    # All rows pass through one tree before the next tree, because the nodes of one tree fit into
    # the CPU cache. The path lengths of a row are always summed in tree order.
    total[:] = 0.0
    for tree in range(len(tree_start) - 1):
        for row in range(rows.shape[0]):
            node = tree_start[tree]
            while feature[node] >= 0:
                # scikit-learn, too, compares the row's float32 with the float64 threshold.
                goes_left = rows[row, feature[node]] <= threshold[node]
                node = left[node] if goes_left else right[node]
            total[row] += path_length[node]


# A kernel computes the power. Numpy uses other instructions for the last rows of an array, so the
# last bit of a row's score would depend on the number of rows.
@kernel
def path_lengths_to_scores(scores: NDArray[np.float64], normaliser: float) -> None:
    """Replace the summed path length of each row (n,) by the raw score, in place."""
    for row in range(len(scores)):
        scores[row] = 2.0 ** (-scores[row] / normaliser)
