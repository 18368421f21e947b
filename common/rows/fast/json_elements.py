"""Kernel that finds the ends of the elements of a JSON array."""

from sensorwatch.common.kernels import inlined_kernel, kernel

IN_ARRAY, AFTER_ARRAY = 0, -1
"""Nesting levels in the state: among the array's elements, and after the end of the array."""

_QUOTE, _BACKSLASH, _COMMA = ord('"'), ord("\\"), ord(",")
_OPENING_BRACKET, _CLOSING_BRACKET = ord("["), ord("]")
_OPENING_BRACE, _CLOSING_BRACE = ord("{"), ord("}")


@kernel
def find_element_ends(data, state, ends):  # type: ignore[no-untyped-def]
    """Write the position after each element that ends in `data`; return the number of positions.

    `data`: uint8, the next bytes inside of the array. `state`: int64, shape (3,), the nesting level
    and whether the last byte was in a string and an escape; changed in place. `ends`: int64, with
    room for all bytes of `data`. An element ends at a comma or at the end of the array, after which
    no byte is read. The JSON is not checked.
    """
    level, is_in_string, is_escaped = state
    count = 0
    for position in range(len(data)):
        byte = data[position]
        if is_in_string or byte == _QUOTE:
            is_in_string, is_escaped = _string_state(byte, is_in_string, is_escaped)
        elif byte in (_OPENING_BRACKET, _OPENING_BRACE):
            level += 1
        elif byte in (_CLOSING_BRACKET, _CLOSING_BRACE):
            level -= 1
        if level == AFTER_ARRAY or (byte == _COMMA and level == IN_ARRAY and not is_in_string):
            ends[count] = position
            count += 1
        if level == AFTER_ARRAY:
            break
    state[:] = level, is_in_string, is_escaped
    return count


@inlined_kernel
def _string_state(byte, is_in_string, is_escaped):  # type: ignore[no-untyped-def]
    """Return the state of the string after a byte of it, or after its first quote."""
    if not is_in_string or is_escaped:
        return 1, 0
    return int(byte != _QUOTE), int(byte == _BACKSLASH)
