"""The fast layout of a forest of shallow trees: every tree padded to a full heap of depth 8."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

HEAP_DEPTH = 8
"""Depth of scikit-learn's trees of at most 256 rows: ceil(log2(max_samples))."""
LEAVES_PER_TREE = 1 << HEAP_DEPTH
"""Leaves of a full tree.

The inner nodes are 1 to LEAVES_PER_TREE - 1; the children of node i are 2i and 2i + 1.
"""
MAX_COLUMNS = 256
"""Number of features from which on the heap cannot be used."""
WALK_WIDTH = 32
"""Number of rows (or of trees, for a single row) that are walked together.

A single walk would wait for memory at every step.
"""

_LEAVES_PER_TREE, _WALK_WIDTH, _ONE, _TWO = (
    np.uint32(LEAVES_PER_TREE),
    np.uint32(WALK_WIDTH),
    np.uint32(1),
    np.uint32(2),
)


@dataclass(frozen=True, slots=True)
class ForestHeap:
    """The trees as heaps: every path below an original leaf leads to that leaf's path length."""

    threshold: NDArray[np.float32]
    """Shape (trees * LEAVES_PER_TREE,). A row goes left if x <= threshold; +inf below a leaf."""
    feature: NDArray[np.uint16]
    """Shape (trees * LEAVES_PER_TREE,). The node's column times WALK_WIDTH.

    That is the first value of the column in a block of WALK_WIDTH rows, stored column by column.
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
    """Return the trees as heaps, or None if they do not fit.

    The arrays are those of `sensorwatch.common.model.forest.Forest`. Trees deeper than HEAP_DEPTH
    and features from MAX_COLUMNS on do not fit.
    """
    if feature.max(initial=0) >= MAX_COLUMNS:
        return None
    nodes = tree_start[:-1, None]
    count = len(nodes)
    thresholds = np.full((count, LEAVES_PER_TREE), np.inf, dtype=np.float32)
    features = np.zeros((count, LEAVES_PER_TREE), dtype=np.uint16)
    for level in range(HEAP_DEPTH):
        nodes_at = slice(1 << level, 2 << level)
        leaf = feature[nodes] < 0
        thresholds[:, nodes_at] = np.where(leaf, np.inf, _round_down_to_float32(threshold[nodes]))
        features[:, nodes_at] = np.where(leaf, 0, feature[nodes] * WALK_WIDTH)
        children = [np.where(leaf, nodes, side[nodes]) for side in (left, right)]
        nodes = np.stack(children, axis=-1).reshape(count, -1)
    if np.any(feature[nodes] >= 0):
        return None
    return ForestHeap(thresholds.ravel(), features.ravel(), path_length[nodes].ravel())


def add_path_lengths(
    heap: ForestHeap, rows: NDArray[np.float32], total: NDArray[np.float64]
) -> None:
    """Write each row's path lengths, summed in tree order, into `total` (n,).

    `rows`: shape (n, features), contiguous.
    """
    _walk_forest(rows, heap.threshold, heap.feature, heap.path_length, total)


def _round_down_to_float32(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 t32 <= t: x <= t32 equals x <= t for every float32 x."""
    nearest = threshold.astype(np.float32)
    below = np.nextafter(nearest, np.float32(-np.inf))
    return np.where(nearest.astype(np.float64) > threshold, below, nearest)


# Unsigned indices, because numba checks every signed index for a negative value.
@kernel
def _walk_forest(rows, threshold, feature, path_length, total):  # type: ignore[no-untyped-def]
    n, columns = rows.shape
    block = np.empty(columns * WALK_WIDTH, dtype=np.float32)
    nodes_at = np.empty(WALK_WIDTH, dtype=np.uint32)
    total[:] = 0.0
    full_rows = n - n % WALK_WIDTH
    for first in range(0, full_rows, WALK_WIDTH):
        for row in range(WALK_WIDTH):
            for column in range(columns):
                block[column * WALK_WIDTH + row] = rows[first + row, column]
        _walk_rows(
            block, threshold, feature, path_length, nodes_at, total[first : first + WALK_WIDTH]
        )
    for row in range(full_rows, n):
        total[row] = _walk_one_row(rows[row], threshold, feature, path_length, nodes_at)


@inlined_kernel
def _walk_rows(block, threshold, feature, path_length, nodes_at, total):  # type: ignore[no-untyped-def]
    """Walk WALK_WIDTH rows down one tree after the other; `block` has them column by column."""
    for tree in range(0, len(threshold), LEAVES_PER_TREE):
        thresholds, features = (
            threshold[tree : tree + LEAVES_PER_TREE],
            feature[tree : tree + LEAVES_PER_TREE],
        )
        lengths = path_length[tree : tree + LEAVES_PER_TREE]
        for row in range(WALK_WIDTH):
            nodes_at[row] = _ONE
        for _ in range(HEAP_DEPTH):
            for row in range(WALK_WIDTH):
                node = nodes_at[row]
                value = block[np.uint32(features[node]) + np.uint32(row)]
                nodes_at[row] = _TWO * node + np.uint32(not value <= thresholds[node])
        for row in range(WALK_WIDTH):
            total[row] += lengths[nodes_at[row] - _LEAVES_PER_TREE]


@inlined_kernel
def _walk_one_row(row, threshold, feature, path_length, nodes_at):  # type: ignore[no-untyped-def]
    """Walk one row down WALK_WIDTH trees at a time; sum the path lengths in tree order."""
    total = 0.0
    trees = len(threshold) // LEAVES_PER_TREE
    for first in range(0, trees, WALK_WIDTH):
        tree_count = min(WALK_WIDTH, trees - first)
        for tree in range(tree_count):
            nodes_at[tree] = _ONE
        for _ in range(HEAP_DEPTH):
            for tree in range(tree_count):
                node = np.uint32(first + tree) * _LEAVES_PER_TREE + nodes_at[tree]
                right = not row[np.uint32(feature[node]) // _WALK_WIDTH] <= threshold[node]
                nodes_at[tree] = _TWO * nodes_at[tree] + np.uint32(right)
        for tree in range(tree_count):
            total += path_length[
                np.uint32(first + tree) * _LEAVES_PER_TREE + nodes_at[tree] - _LEAVES_PER_TREE
            ]
    return total
