"""Which rows are of one sensor, by the bytes of its id, and its name, as a kernel."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.rows.readings import DEFAULT_SENSOR

_OFFSET, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits
_FOLD = np.uint64(32)


def number_sensors(
    text: bytes, at: NDArray[np.int64], length: NDArray[np.int64]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Number the ids (n,) that begin at `at` in `text` in order of first appearance.

    `length` below 0 is the default sensor. Returns each row's number, and the ids by their numbers.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    number = np.empty(len(at), dtype=np.int32)
    first = np.empty(len(at), dtype=np.int64)
    places = np.full(1 << (2 * len(at)).bit_length(), -1, dtype=np.int32)
    count = _number(data, at, length, places, number, first)
    first = first[:count]
    return number, tuple(
        text[begin : begin + size].decode() if size >= 0 else DEFAULT_SENSOR
        for begin, size in zip(at[first].tolist(), length[first].tolist(), strict=True)
    )


@kernel
def _number(data, at, length, places, number, first):  # type: ignore[no-untyped-def]
    mask = np.int64(len(places) - 1)
    count = 0
    for row in range(len(at)):
        place = np.int64(_hash(data, at[row], length[row])) & mask
        while places[place] >= 0 and not _same(data, at, length, first[places[place]], row):
            place = (place + 1) & mask
        if places[place] < 0:
            places[place] = count
            first[count] = row
            count += 1
        number[row] = places[place]
    return count


@part
def _hash(data, at, length):  # type: ignore[no-untyped-def]
    mixed = _OFFSET
    for place in range(at, at + length):
        mixed = (mixed ^ np.uint64(data[place])) * _PRIME
    return (mixed ^ (mixed >> _FOLD)) & np.uint64(0x7FFFFFFF)


@part
def _same(data, at, length, one, other):  # type: ignore[no-untyped-def]
    if length[one] != length[other]:
        return False
    for place in range(length[one]):
        if data[at[one] + place] != data[at[other] + place]:
            return False
    return True
