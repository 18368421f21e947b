"""A forest of shallow trees laid out for speed: every tree padded to a full heap of depth 8."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part

DEPTH = 8
"""What scikit-learn gives trees of at most 256 rows: ceil(log2(max_samples))."""
SIDE = 1 << DEPTH
"""Leaves of a full tree; its inner nodes are 1 to SIDE - 1, the children of i are 2i and 2i + 1."""
MAX_COLUMNS = 256
ROWS = 32
"""Rows, or trees for a row alone, that are walked together: one walk would wait for memory."""

_SIDE, _ROWS, _ONE, _TWO = np.uint32(SIDE), np.uint32(ROWS), np.uint32(1), np.uint32(2)


@dataclass(frozen=True, slots=True)
class Heap:
    """The trees padded: below a leaf that comes early, every path leads to its value."""

    threshold: NDArray[np.float32]
    """(trees * SIDE,) go left where x <= threshold; +inf where there is no choice."""
    feature: NDArray[np.uint16]
    """(trees * SIDE,) times ROWS: where a feature of ROWS rows begins, column by column."""
    path_length: NDArray[np.float64]
    """(trees * SIDE,) of each leaf, from the left."""


def heap_of(
    *,
    tree_start: NDArray[np.int32],
    feature: NDArray[np.int32],
    threshold: NDArray[np.float64],
    left: NDArray[np.int32],
    right: NDArray[np.int32],
    path_length: NDArray[np.float64],
) -> Heap | None:
    """Lay trees out as heaps; None where one is deeper than DEPTH or names a feature too high.

    The arrays are those of `sensorwatch.common.model.forest.Forest`.
    """
    if feature.max(initial=0) >= MAX_COLUMNS:
        return None
    nodes = tree_start[:-1, None]
    count = len(nodes)
    thresholds = np.full((count, SIDE), np.inf, dtype=np.float32)
    features = np.zeros((count, SIDE), dtype=np.uint16)
    for level in range(DEPTH):
        at = slice(1 << level, 2 << level)
        leaf = feature[nodes] < 0
        thresholds[:, at] = np.where(leaf, np.inf, _rounded_down(threshold[nodes]))
        features[:, at] = np.where(leaf, 0, feature[nodes] * ROWS)
        children = [np.where(leaf, nodes, side[nodes]) for side in (left, right)]
        nodes = np.stack(children, axis=-1).reshape(count, -1)
    if np.any(feature[nodes] >= 0):
        return None
    return Heap(thresholds.ravel(), features.ravel(), path_length[nodes].ravel())


def add_path_lengths(heap: Heap, rows: NDArray[np.float32], total: NDArray[np.float64]) -> None:
    """Write each row's path lengths, summed tree after tree, into `total` (n,).

    `rows` (n, features), contiguous.
    """
    _walk(rows, heap.threshold, heap.feature, heap.path_length, total)


def _rounded_down(threshold: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the largest float32 not above t: for any float32 x, it gives x <= t its answer."""
    near = threshold.astype(np.float32)
    below = np.nextafter(near, np.float32(-np.inf))
    return np.where(near.astype(np.float64) > threshold, below, near)


# Unsigned, because a signed index may be negative, and numba would ask each time.
@kernel
def _walk(rows, threshold, feature, path_length, total):  # type: ignore[no-untyped-def]
    n, columns = rows.shape
    block = np.empty(columns * ROWS, dtype=np.float32)
    at = np.empty(ROWS, dtype=np.uint32)
    total[:] = 0.0
    whole = n - n % ROWS
    for first in range(0, whole, ROWS):
        for row in range(ROWS):
            for column in range(columns):
                block[column * ROWS + row] = rows[first + row, column]
        _together(block, threshold, feature, path_length, at, total[first : first + ROWS])
    for row in range(whole, n):
        total[row] = _alone(rows[row], threshold, feature, path_length, at)


@part
def _together(block, threshold, feature, path_length, at, total):  # type: ignore[no-untyped-def]
    """Walk ROWS rows down one tree after the other; `block` holds them column by column."""
    for tree in range(0, len(threshold), SIDE):
        thresholds, features = threshold[tree : tree + SIDE], feature[tree : tree + SIDE]
        lengths = path_length[tree : tree + SIDE]
        for row in range(ROWS):
            at[row] = _ONE
        for _ in range(DEPTH):
            for row in range(ROWS):
                node = at[row]
                value = block[np.uint32(features[node]) + np.uint32(row)]
                at[row] = _TWO * node + np.uint32(not value <= thresholds[node])
        for row in range(ROWS):
            total[row] += lengths[at[row] - _SIDE]


@part
def _alone(row, threshold, feature, path_length, at):  # type: ignore[no-untyped-def]
    """Walk one row down ROWS trees at a time, and add up in the trees' order all the same."""
    total = 0.0
    trees = len(threshold) // SIDE
    for first in range(0, trees, ROWS):
        some = min(ROWS, trees - first)
        for tree in range(some):
            at[tree] = _ONE
        for _ in range(DEPTH):
            for tree in range(some):
                node = np.uint32(first + tree) * _SIDE + at[tree]
                right = not row[np.uint32(feature[node]) // _ROWS] <= threshold[node]
                at[tree] = _TWO * at[tree] + np.uint32(right)
        for tree in range(some):
            total += path_length[np.uint32(first + tree) * _SIDE + at[tree] - _SIDE]
    return total
