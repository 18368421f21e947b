"""The paired drain compares runs of the same round."""

from pathlib import Path

from benchmarks.speed.paired_drain import OTHER, OWN, Variant, results
from benchmarks.speed.run_statistics import DrainRun


def test_the_ratios_compare_runs_of_the_same_round() -> None:
    rounds = [
        {OTHER: DrainRun(100, 1.0, 2.0), OWN: DrainRun(100, 2.0, 3.0)},
        {OTHER: DrainRun(100, 4.0, 2.0), OWN: DrainRun(100, 4.0, 1.0)},
    ]
    variants = [Variant(name, Path(), Path()) for name in (OTHER, OWN)]

    table = results(variants, rounds, 100)

    assert [row[0] for row in table.rows] == [OTHER, OWN]
    assert table.rows[1][3:] == ("0.750 (0.500..1.000)", "1.000 (0.500..1.500)")
    assert table.rows[0][3:] == ("1.000 (1.000..1.000)", "1.000 (1.000..1.000)")
