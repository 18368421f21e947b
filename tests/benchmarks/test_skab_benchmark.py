"""SKAB's figures: pooled over rows, not over files; cuts follow from name and seed."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality.dataset_files import FileSelection
from benchmarks.quality.skab_benchmark import (
    MAX_CUT_ROWS,
    TRAIN_ROWS,
    clock_rule,
    cut_of,
    load,
    measure,
)
from benchmarks.quality.skab_scoring import Counts, count, delays, pooled
from sensorwatch.common.errors import DataError

HEADER = "datetime;Pressure;Volume Flow RateRMS;anomaly;changepoint"


def rows(text: str) -> NDArray[np.bool_]:
    return np.asarray([letter == "#" for letter in text])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A folder with the files of `write_files`."""
    return write_files(tmp_path)


def write_files(folder: Path) -> Path:
    """Write two files of 1,000 rows, faulty in rows 600 to 899; one of them with a bad cell."""
    for name in ("valve1/0", "other/3"):
        lines = [HEADER]
        for row in range(1_000):
            label = float(600 <= row < 900)
            value = "x" if (name, row) == ("other/3", 500) else str(row * row % 97)
            time = f"2020-03-09 10:{row // 60:02d}:{row % 60:02d}"
            lines.append(f"{time};{value};{row % 7};{label};0.0")
        path = folder / "skab" / f"{name}.csv"
        path.parent.mkdir(parents=True)
        path.write_text("\n".join(lines), encoding="utf-8")
    return folder


def test_counts_and_rates_of_a_stretch() -> None:
    counts = count(rows("..####.."), rows(".#.##..."))

    assert counts == Counts(
        true_positives=2, false_positives=1, false_negatives=2, true_negatives=3
    )
    assert counts.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert counts.far == pytest.approx(25.0)
    assert counts.mar == pytest.approx(50.0)


def test_files_are_pooled_by_their_rows() -> None:
    small, large = Counts(1, 0, 1, 2), Counts(10, 30, 0, 60)

    both = pooled([small, large])

    assert both == Counts(11, 30, 1, 62)
    assert both.far == pytest.approx(100 * 30 / 92)
    assert both.mar == pytest.approx(100 / 12)


def test_rates_of_nothing_are_zero() -> None:
    assert (Counts().f1, Counts().far, Counts().mar) == (0.0, 0.0, 0.0)


def test_the_delay_of_each_run_of_faulty_rows() -> None:
    faulty = rows("##..###...##.#")
    alarm = rows("#.....#..#...#")

    assert delays(faulty, alarm) == [0, 2, None, 0]


def test_a_file_is_cut_the_same_whoever_else_is_cut() -> None:
    names = [f"valve1/{number}.csv" for number in range(200)]
    cuts = [cut_of(name, seed) for seed in range(5) for name in names]

    assert cuts == [cut_of(name, seed) for seed in range(5) for name in names]
    assert (min(cuts), max(cuts)) == (0, MAX_CUT_ROWS)
    assert len({cut_of("valve1/0.csv", seed) for seed in range(5)}) > 1


def test_a_file_without_its_start_keeps_labels_and_rows_together(data: Path) -> None:
    other, valve = load(FileSelection(data))

    assert [other.name, valve.name] == ["other/3.csv", "valve1/0.csv"]
    assert valve.schema.signal_names == ("Pressure", "Volume Flow RateRMS")
    for cut in (0, 1, 160):
        truth = valve.truth(cut)
        assert len(truth) == valve.stream(cut).judged_rows == 1_000 - cut - TRAIN_ROWS
        assert np.flatnonzero(truth)[0] + TRAIN_ROWS + cut == 600


def test_the_clock_is_right_on_whole_files_and_wrong_on_cut_ones(data: Path) -> None:
    run = measure(load(FileSelection(data)), clock_rule(), seeds=2)

    assert len(run.counts) == len(run.cut) == 2
    assert pooled(run.counts) == Counts(600, 2 * 106, 0, 2 * 600 - 600 - 2 * 106)
    assert all(counts.f1 < pooled(run.counts).f1 for counts in run.cut)


def test_files_are_chosen_by_pattern(data: Path) -> None:
    assert [file.name for file in load(FileSelection(data, ("valve*",)))] == ["valve1/0.csv"]
    with pytest.raises(DataError, match="fits valve9"):
        load(FileSelection(data, ("valve9/*",)))
    with pytest.raises(DataError, match="--data"):
        load(FileSelection(data / "nowhere"))
