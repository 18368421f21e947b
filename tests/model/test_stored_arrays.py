"""Checks of stored arrays: a message has the name, and the actual and wanted dtype and shape."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.stored_arrays import require, stored_array


def test_an_array_of_the_wanted_dtype_and_shape_is_returned() -> None:
    array = np.zeros((2, 3))

    assert stored_array({"a": array}, "a", np.float64, (None, 3)) is array


def test_texts_of_any_length_are_accepted() -> None:
    sensor_names = np.asarray(["s1", "sensor-2"])

    assert stored_array({"a": sensor_names}, "a", np.str_, (2,)) is sensor_names


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (None, 'the array "a" is missing'),
        (
            np.zeros((2, 3), dtype=np.float32),
            'the array "a" is float32 of shape (2, 3), wanted float64 of shape (any, 3)',
        ),
        (
            np.zeros((2, 3), dtype=">f8"),
            'the array "a" is >f8 of shape (2, 3), wanted float64 of shape (any, 3)',
        ),
        (np.zeros(3), 'the array "a" is float64 of shape (3), wanted float64 of shape (any, 3)'),
        (
            np.asarray([[0.0, np.nan, np.inf]]),
            'the array "a" has 2 values that are not finite, wanted none',
        ),
    ],
)
def test_an_array_of_another_dtype_shape_or_content_is_refused(
    array: NDArray[Any] | None, message: str
) -> None:
    arrays = {} if array is None else {"a": array}

    with pytest.raises(ModelRefused) as error:
        stored_array(arrays, "a", np.float64, (None, 3))

    assert str(error.value) == message


def test_a_failed_requirement_is_an_error() -> None:
    require(True, "a", actual="1 row", wanted="1 row")

    with pytest.raises(ModelRefused, match='the array "a" has 2 rows, wanted 1 row'):
        require(False, "a", actual="2 rows", wanted="1 row")
