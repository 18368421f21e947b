"""Runs of consecutive rows for which a condition is true."""

import numpy as np
from numpy.typing import NDArray


def true_ranges(rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first row and the end (exclusive) of each run of True in `rows` (n,)."""
    edges = np.flatnonzero(np.diff(rows.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))
