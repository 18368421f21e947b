"""Checks of the arrays of a stored model version."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused


def stored_array(
    arrays: Mapping[str, NDArray[Any]],
    name: str,
    dtype: type[np.generic],
    shape: tuple[int | None, ...],
) -> NDArray[Any]:
    """Return the array `name` if its dtype and shape are as wanted and all numbers are finite.

    `dtype`: np.str_ accepts texts of any length. `shape`: the length of each dimension; None
    accepts any length. Raises ModelRefused, which names the array, if a check fails.
    """
    array = arrays.get(name)
    if array is None:
        raise ModelRefused(f'the array "{name}" is missing')
    if not (_has_dtype(array, dtype) and _has_shape(array, shape)):
        raise ModelRefused(
            f'the array "{name}" is {array.dtype} of shape {_shape_text(array.shape)}, wanted '
            f"{dtype.__name__} of shape {_shape_text(shape)}"
        )
    if dtype is not np.str_:
        is_finite = np.isfinite(array)
        wrong_count = array.size - np.count_nonzero(is_finite)
        require(
            wrong_count == 0,
            name,
            actual=f"{wrong_count} values that are not finite",
            wanted="none",
        )
    return array


def require(condition: object, name: str, *, actual: str, wanted: str) -> None:
    """Raise ModelRefused with the array's name, unless `condition` is true."""
    if not condition:
        raise ModelRefused(f'the array "{name}" has {actual}, wanted {wanted}')


def _has_dtype(array: NDArray[Any], dtype: type[np.generic]) -> bool:
    return bool(array.dtype.kind == "U" if dtype is np.str_ else array.dtype == dtype)


def _has_shape(array: NDArray[Any], shape: tuple[int | None, ...]) -> bool:
    return array.ndim == len(shape) and all(
        wanted_length is None or length == wanted_length
        for length, wanted_length in zip(array.shape, shape, strict=True)
    )


def _shape_text(shape: tuple[int | None, ...]) -> str:
    return f"({', '.join('any' if length is None else str(length) for length in shape)})"
