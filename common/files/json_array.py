"""Splits a JSON array into its elements, without reading the whole array into memory."""

import io
from collections.abc import Iterator

import numpy as np

from sensorwatch.common.rows.fast.json_elements import AFTER_ARRAY, find_element_ends
from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES

_MAX_ELEMENT_BYTES = MAX_PAYLOAD_BYTES + 1
"""Only the first bytes of a longer element are returned; it is rejected anyway."""
_BLOCK_BYTES = 1 << 18


def array_elements(stream: io.BufferedIOBase) -> Iterator[bytes]:
    """Yield the bytes of each element of the array at the start of the stream.

    The JSON of an element is not checked. Raises ValueError if an element is empty, if the array
    has no end, or if a text follows.
    """
    block = stream.read(_BLOCK_BYTES).lstrip().removeprefix(b"[") or stream.read(_BLOCK_BYTES)
    state, end_positions = np.zeros(3, dtype=np.int64), np.empty(_BLOCK_BYTES, dtype=np.int64)
    element, has_elements = b"", False
    while state[0] != AFTER_ARRAY:
        if not block:
            raise ValueError("the array has no end")
        start_position = 0
        end_count = find_element_ends(np.frombuffer(block, dtype=np.uint8), state, end_positions)
        for end_position in end_positions[:end_count].tolist():
            element = _append_part(element, block[start_position:end_position]).strip()
            is_empty_array = state[0] == AFTER_ARRAY and end_count == 1 and not has_elements
            if element:
                yield element
            elif not is_empty_array:
                raise ValueError("an element of the array is empty")
            element, start_position, has_elements = b"", end_position + 1, True
        if state[0] == AFTER_ARRAY:
            _require_end(block[start_position - 1 :], stream)
            return
        element = _append_part(element, block[start_position:])
        block = stream.read(_BLOCK_BYTES)


def _append_part(element: bytes, part: bytes) -> bytes:
    return element + part[: _MAX_ELEMENT_BYTES - len(element)]


def _require_end(remaining_bytes: bytes, stream: io.BufferedIOBase) -> None:
    """Check that only the closing bracket and white space remain."""
    if not remaining_bytes.startswith(b"]"):
        raise ValueError("found } at the end of the array, wanted ]")
    block = remaining_bytes[1:]
    while block:
        if block.strip():
            raise ValueError("a text follows the array")
        block = stream.read(_BLOCK_BYTES)
