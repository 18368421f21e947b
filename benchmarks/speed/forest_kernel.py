"""Compare the speed of sensorwatch's forest with scikit-learn's, on one core."""

from functools import partial

import numpy as np
from sklearn.ensemble import IsolationForest

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.run_statistics import mean_seconds, median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Testbed
from sensorwatch.common.model.forest import forest_from_sklearn, score

TREES, SAMPLES, COLUMNS = 100, 256, 5
SIZES = (1, 100, 1_000, 10_000, 100_000)


def measure_kernels(testbed: Testbed) -> SectionResult:
    """Measure both forests in turn on matrices of several sizes."""
    rng = np.random.default_rng(5)
    estimator = IsolationForest(n_estimators=TREES, max_samples=SAMPLES, random_state=0, n_jobs=1)
    estimator.fit(rng.standard_normal((20_000, COLUMNS)))
    forest = forest_from_sklearn(estimator)
    rows, ratios = [], {}
    for size in SIZES:
        matrix = rng.standard_normal((size, COLUMNS))
        max_difference = float(
            np.max(np.abs(score(forest, matrix) + estimator.score_samples(matrix)))
        )
        time_pairs = [
            (
                mean_seconds(partial(score, forest, matrix)),
                mean_seconds(partial(estimator.score_samples, matrix)),
            )
            for _ in range(testbed.options.rounds)
        ]
        ratios[size] = median_and_range(
            [sklearn_time / kernel_time for kernel_time, sklearn_time in time_pairs]
        )
        kernel_time, sklearn_time = (
            median_and_range([1e6 * times[pair_index] / size for times in time_pairs])
            for pair_index in (0, 1)
        )
        figures = (
            kernel_time.text(3),
            sklearn_time.text(3),
            ratios[size].text(1),
            f"{max_difference:.1e}",
        )
        rows.append((f"{size:,}", *figures))
    title = f"Microseconds per row of a forest of {TREES} trees of {SAMPLES} rows"
    table = Table(
        title,
        ("rows at once", "ours", "scikit-learn", "scikit-learn / ours", "largest difference"),
        rows,
        "The forests ran in turn, in one process on one core. Each run gives a mean time per row; "
        "the figures are the median (lowest..highest) of these means.",
    )
    verdicts = [
        Verdict(goals.FOREST_BULK, ratios[SIZES[-1]], f"{SIZES[-1]:,} rows"),
        Verdict(goals.FOREST_ONE, ratios[1]),
    ]
    return SectionResult(Section(title, [table]), verdicts)
