"""SKAB's metrics: F1, false alarm rate and missed alarm rate, over all judged rows."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Counts:
    """Confusion matrix: number of rows for each combination of label and alarm."""

    true_positives: int = 0
    false_positives: int = 0
    false_negatives: int = 0
    true_negatives: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true_positives + other.true_positives,
            self.false_positives + other.false_positives,
            self.false_negatives + other.false_negatives,
            self.true_negatives + other.true_negatives,
        )

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        return _share(2 * self.true_positives, self.false_positives + self.false_negatives)

    @property
    def far(self) -> float:
        """False alarm rate: share of the healthy rows with an alarm, in %."""
        return 100 * _share(self.false_positives, self.true_negatives)

    @property
    def mar(self) -> float:
        """Missed alarm rate: share of the faulty rows without an alarm, in %."""
        return 100 * _share(self.false_negatives, self.true_positives)


def count(faulty: NDArray[np.bool_], alarmed: NDArray[np.bool_]) -> Counts:
    """Return the confusion matrix of the labels `faulty` (n,) and the alarms `alarmed` (n,)."""
    return Counts(
        int((faulty & alarmed).sum()),
        int((~faulty & alarmed).sum()),
        int((faulty & ~alarmed).sum()),
        int((~faulty & ~alarmed).sum()),
    )


def sum_counts(counts: Iterable[Counts]) -> Counts:
    """Return the sum of several files' counts."""
    return sum(counts, Counts())


def delays(faulty: NDArray[np.bool_], alarmed: NDArray[np.bool_]) -> list[int | None]:
    """Return the delay of the first alarm in each run of faulty rows, in rows; None: no alarm."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], faulty, [False])).astype(np.int8)))
    runs = [alarmed[first:end] for first, end in zip(edges[::2], edges[1::2], strict=True)]
    return [int(np.argmax(run)) if run.any() else None for run in runs]


def _share(part: int, remainder: int) -> float:
    return part / (part + remainder) if part + remainder else 0.0
