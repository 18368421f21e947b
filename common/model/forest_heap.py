"""A fast layout for forests with shallow trees: each tree is padded to a full heap of depth 8."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

HEAP_DEPTH = 8
"""Largest depth of a scikit-learn tree with up to 256 rows: ceil(log2(max_samples))."""
LEAVES_PER_TREE = 1 << HEAP_DEPTH
"""Number of leaves of a full tree.

The inner nodes have the numbers 1 to LEAVES_PER_TREE - 1. The children of node i are 2i and 2i + 1.
"""
MAX_COLUMNS = 256
"""Largest number of features for which the heap can be used."""
WALK_WIDTH = 32
"""Number of walks from a root to a leaf that the kernel does at the same time.

The walks are those of several rows in one tree, or of one row in several trees. A single walk would
wait for memory at every step.
"""

_LEAVES_PER_TREE, _WALK_WIDTH, _ONE, _TWO = (
    np.uint32(LEAVES_PER_TREE),
    np.uint32(WALK_WIDTH),
    np.uint32(1),
    np.uint32(2),
)


@dataclass(frozen=True, slots=True)
class ForestHeap:
    """The trees, each padded to a full heap.

    If a leaf of a tree is above the last level, all heap leaves below it have the path length of
    this leaf.
    """

    threshold: NDArray[np.float32]
    """Shape (trees * LEAVES_PER_TREE,). A row goes left if x <= threshold.

    At a leaf of the tree and at all nodes below, the threshold is +inf.
    """
    feature: NDArray[np.uint16]
    """Shape (trees * LEAVES_PER_TREE,). Index of the node's feature, multiplied by WALK_WIDTH.

    This product is the position of the feature's first value in a block of WALK_WIDTH rows, which
    is stored column by column.
    """
    path_length: NDArray[np.float64]
    """Shape (trees * LEAVES_PER_TREE,). Path length of each leaf, from left to right."""


def build_heap(
    *,
    tree_start: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    path_length: NDArray[np.float64],
) -> ForestHeap | None:
    """Return the trees as heaps, or None if a tree does not fit into a heap.

    The arrays are those of `sensorwatch.common.model.forest.Forest`. A tree does not
    fit if it is deeper than HEAP_DEPTH or if a feature's index is MAX_COLUMNS or more.
    """
    if feature.max(initial=0) >= MAX_COLUMNS:
        return None
    nodes = tree_start[:-1, None]
    tree_count = len(nodes)
    thresholds = np.full((tree_count, LEAVES_PER_TREE), np.inf, dtype=np.float32)
    features = np.zeros((tree_count, LEAVES_PER_TREE), dtype=np.uint16)
    for level in range(HEAP_DEPTH):
        level_nodes = slice(1 << level, 2 << level)
        is_leaf = feature[nodes] < 0
        thresholds[:, level_nodes] = np.where(
            is_leaf, np.inf, _round_down_to_float32(threshold[nodes])
        )
        features[:, level_nodes] = np.where(is_leaf, 0, feature[nodes] * WALK_WIDTH)
        children = [np.where(is_leaf, nodes, child[nodes]) for child in (left, right)]
        nodes = np.stack(children, axis=-1).reshape(tree_count, -1)
    if np.any(feature[nodes] >= 0):
        return None
    return ForestHeap(thresholds.ravel(), features.ravel(), path_length[nodes].ravel())


def add_path_lengths(
    heap: ForestHeap, rows: NDArray[np.float32], total: NDArray[np.float64]
) -> None:
    """Write the sum of each row's path lengths, added in tree order, into `total` (n,).

    `rows`: shape (n, features), contiguous.
    """
    _walk_forest(rows, heap.threshold, heap.feature, heap.path_length, total)


def _round_down_to_float32(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return, for each threshold, the largest float32 that is not above the threshold.

    A float32 x is <= the returned value if and only if x <= the threshold.
    """
    nearest_float32 = threshold.astype(np.float32)
    next_lower_float32 = np.nextafter(nearest_float32, np.float32(-np.inf))
    return np.where(
        nearest_float32.astype(np.float64) > threshold, next_lower_float32, nearest_float32
    )


# The indices are unsigned, because numba checks every signed index for a negative value.
@kernel
def _walk_forest(rows, threshold, feature, path_length, total):  # type: ignore[no-untyped-def]
    n, columns = rows.shape
    block = np.empty(columns * WALK_WIDTH, dtype=np.float32)
    current_nodes = np.empty(WALK_WIDTH, dtype=np.uint32)
    total[:] = 0.0
    rows_in_blocks = n - n % WALK_WIDTH
    for first_row in range(0, rows_in_blocks, WALK_WIDTH):
        for row in range(WALK_WIDTH):
            for column in range(columns):
                block[column * WALK_WIDTH + row] = rows[first_row + row, column]
        _walk_rows(
            block,
            threshold,
            feature,
            path_length,
            current_nodes,
            total[first_row : first_row + WALK_WIDTH],
        )
    for row in range(rows_in_blocks, n):
        total[row] = _walk_one_row(rows[row], threshold, feature, path_length, current_nodes)


@inlined_kernel
def _walk_rows(block, threshold, feature, path_length, current_nodes, total):  # type: ignore[no-untyped-def]
    """Add the path lengths of WALK_WIDTH rows in each tree; `block` is stored column by column."""
    for tree in range(0, len(threshold), LEAVES_PER_TREE):
        thresholds, features = (
            threshold[tree : tree + LEAVES_PER_TREE],
            feature[tree : tree + LEAVES_PER_TREE],
        )
        path_lengths = path_length[tree : tree + LEAVES_PER_TREE]
        for row in range(WALK_WIDTH):
            current_nodes[row] = _ONE
        for _ in range(HEAP_DEPTH):
            for row in range(WALK_WIDTH):
                node = current_nodes[row]
                value = block[np.uint32(features[node]) + np.uint32(row)]
                current_nodes[row] = _TWO * node + np.uint32(not value <= thresholds[node])
        for row in range(WALK_WIDTH):
            total[row] += path_lengths[current_nodes[row] - _LEAVES_PER_TREE]


@inlined_kernel
def _walk_one_row(row, threshold, feature, path_length, current_nodes):  # type: ignore[no-untyped-def]
    """Return the sum of one row's path lengths in tree order; use WALK_WIDTH trees at a time."""
    total = 0.0
    trees = len(threshold) // LEAVES_PER_TREE
    for first_tree in range(0, trees, WALK_WIDTH):
        tree_count = min(WALK_WIDTH, trees - first_tree)
        for tree in range(tree_count):
            current_nodes[tree] = _ONE
        for _ in range(HEAP_DEPTH):
            for tree in range(tree_count):
                node = np.uint32(first_tree + tree) * _LEAVES_PER_TREE + current_nodes[tree]
                goes_right = not row[np.uint32(feature[node]) // _WALK_WIDTH] <= threshold[node]
                current_nodes[tree] = _TWO * current_nodes[tree] + np.uint32(goes_right)
        for tree in range(tree_count):
            total += path_length[
                np.uint32(first_tree + tree) * _LEAVES_PER_TREE
                + current_nodes[tree]
                - _LEAVES_PER_TREE
            ]
    return total
