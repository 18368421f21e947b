"""Edited arrays are refused even if every digest was recomputed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.archive import Arrays, pack, unpack
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.registry.version_loading import load_version
from tests.registry.forging import NAME, edit_arrays, replace_file


def _lower_threshold(arrays: Arrays) -> None:
    arrays["calibration"][0] -= 1e-6


def _raise_threshold(arrays: Arrays) -> None:
    arrays["calibration"][0] += 0.05


def _shift_centre(arrays: Arrays) -> None:
    arrays["calibration"][1] -= 1e-6


def _lengthen_paths(arrays: Arrays) -> None:
    arrays["path_length"][arrays["feature"] < 0] += 1e-3


def _scale_normaliser(arrays: Arrays) -> None:
    arrays["normaliser"] *= 1.001


@pytest.mark.parametrize(
    "edit",
    [
        _lower_threshold,
        _raise_threshold,
        _shift_centre,
        _lengthen_paths,
        _scale_normaliser,
    ],
)
def test_golden_rows_detect_edited_arrays_with_recomputed_digests(
    folder: Path, edit: Callable[[Arrays], None]
) -> None:
    forged_folder = edit_arrays(folder, edit)

    with pytest.raises(ModelRefused, match="golden rows get a different score"):
        load_version(forged_folder)


def _make_cycle(arrays: Arrays) -> None:
    inner_node = np.flatnonzero(arrays["feature"] >= 0)[1]
    arrays["left"][inner_node] = 0


def _point_out_of_bounds(arrays: Arrays) -> None:
    arrays["right"][0] = len(arrays["right"]) + 1000


def _use_missing_feature(arrays: Arrays) -> None:
    arrays["feature"][0] = 17


def _shorten_thresholds(arrays: Arrays) -> None:
    arrays["threshold"] = arrays["threshold"][:-1]


def _change_type(arrays: Arrays) -> None:
    arrays["threshold"] = arrays["threshold"].astype(np.float32)


def _set_nan(arrays: Arrays) -> None:
    arrays["path_length"][:] = np.nan


def _remove_left_children(arrays: Arrays) -> None:
    del arrays["left"]


def _narrow_ranges(arrays: Arrays) -> None:
    arrays["signal_ranges"] = arrays["signal_ranges"][:, :2]


@pytest.mark.parametrize(
    "edit",
    [
        _make_cycle,
        _point_out_of_bounds,
        _use_missing_feature,
        _shorten_thresholds,
        _change_type,
        _set_nan,
        _remove_left_children,
        _narrow_ranges,
    ],
)
def test_arrays_that_the_kernel_cannot_walk_are_refused_before_it_runs(
    folder: Path, edit: Callable[[Arrays], None]
) -> None:
    forged_folder = edit_arrays(folder, edit)

    with pytest.raises(ModelRefused, match='the array "'):
        load_version(forged_folder)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("values", np.zeros((50, 2))),
        ("event_time", np.zeros(50)),
        ("event_time", np.zeros(0, dtype=np.int64)),
        ("event_time", np.zeros(201, dtype=np.int64)),
        ("raw_score", np.full(50, np.nan)),
        ("is_anomaly", np.ones(50, dtype=np.bool_)),
        ("sensor", np.full(50, 9, dtype=np.int32)),
        ("sensor_ids", np.zeros((2, 2))),
    ],
)
def test_arrays_that_are_not_golden_rows_are_refused(
    registry: Registry, folder: Path, name: str, array: np.ndarray[Any, np.dtype[Any]]
) -> None:
    golden = unpack((folder / "golden.npz").read_bytes(), "golden.npz")
    replace_file(folder, "golden.npz", pack(golden | {name: array}))

    with pytest.raises(ModelRefused, match="golden rows"):
        registry.load(NAME)
