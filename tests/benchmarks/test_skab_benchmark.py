"""Tests of the reader of SKAB's files, of the cuts of these files, and of SKAB's metrics."""

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
from benchmarks.quality.skab_scoring import Counts, count, delays, sum_counts
from sensorwatch.common.errors import DataError

HEADER = "datetime;Pressure;Volume Flow RateRMS;anomaly;changepoint"


def mask_of(text: str) -> NDArray[np.bool_]:
    return np.asarray([letter == "#" for letter in text])


@pytest.fixture
def data_folder(tmp_path: Path) -> Path:
    """Return a folder with two SKAB files, written by `write_files`."""
    return write_files(tmp_path)


def write_files(folder: Path) -> Path:
    """Write two SKAB files of 1,000 rows. Rows 600 to 899 are faulty; one cell is invalid."""
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


def test_rows_are_counted_by_label_and_alarm() -> None:
    counts = count(mask_of("..####.."), mask_of(".#.##..."))

    assert counts == Counts(
        true_positives=2, false_positives=1, false_negatives=2, true_negatives=3
    )
    assert counts.f1 == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert counts.far == pytest.approx(25.0)
    assert counts.mar == pytest.approx(50.0)


def test_files_are_pooled_by_their_rows() -> None:
    small_file, large_file = Counts(1, 0, 1, 2), Counts(10, 30, 0, 60)

    pooled_counts = sum_counts([small_file, large_file])

    assert pooled_counts == Counts(11, 30, 1, 62)
    assert pooled_counts.far == pytest.approx(100 * 30 / 92)
    assert pooled_counts.mar == pytest.approx(100 / 12)


def test_rates_without_rows_are_zero() -> None:
    assert (Counts().f1, Counts().far, Counts().mar) == (0.0, 0.0, 0.0)


def test_delays_has_an_entry_for_each_run_of_faulty_rows() -> None:
    faulty = mask_of("##..###...##.#")
    alarmed = mask_of("#.....#..#...#")

    assert delays(faulty, alarmed) == [0, 2, None, 0]


def test_a_cut_depends_on_file_name_and_seed_only() -> None:
    names = [f"valve1/{file_number}.csv" for file_number in range(200)]
    cuts = [cut_of(name, seed) for seed in range(5) for name in names]

    assert cuts == [cut_of(name, seed) for seed in range(5) for name in names]
    assert (min(cuts), max(cuts)) == (0, MAX_CUT_ROWS)
    assert len({cut_of("valve1/0.csv", seed) for seed in range(5)}) > 1


def test_a_cut_file_has_its_labels_at_the_right_rows(data_folder: Path) -> None:
    other_file, valve_file = load(FileSelection(data_folder))

    assert [other_file.name, valve_file.name] == ["other/3.csv", "valve1/0.csv"]
    assert valve_file.schema.signal_names == ("Pressure", "Volume Flow RateRMS")
    for cut in (0, 1, 160):
        judged_labels = valve_file.judged_labels(cut)
        assert len(judged_labels) == valve_file.stream(cut).judged_rows == 1_000 - cut - TRAIN_ROWS
        assert np.flatnonzero(judged_labels)[0] + TRAIN_ROWS + cut == 600


def test_the_clock_rule_is_better_on_uncut_files_than_on_cut_files(data_folder: Path) -> None:
    run = measure(load(FileSelection(data_folder)), clock_rule(), seeds=2)

    assert len(run.counts) == len(run.counts_by_seed) == 2
    assert sum_counts(run.counts) == Counts(600, 2 * 106, 0, 2 * 600 - 600 - 2 * 106)
    assert all(counts.f1 < sum_counts(run.counts).f1 for counts in run.counts_by_seed)


def test_files_are_chosen_by_pattern(data_folder: Path) -> None:
    assert [file.name for file in load(FileSelection(data_folder, ("valve*",)))] == ["valve1/0.csv"]
    with pytest.raises(DataError, match="fits valve9"):
        load(FileSelection(data_folder, ("valve9/*",)))
    with pytest.raises(DataError, match="--data"):
        load(FileSelection(data_folder / "nowhere"))
