"""Kernels that write numbers as JSON: the shortest text that is read back as the same number.

The algorithm is Schubfach: R. Giulietti, "The Schubfach way to render doubles" (2020), section 9.
The form of the text is msgspec's: without exponent from 0.00001 up to below 1e16.
"""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

TEXT_BYTES = 24
"""Length of the longest text, such as -1.7976931348623157e-308."""

_MIN_POWER, _MAX_POWER = -292, 324
"""Range of the powers of ten by which a number is multiplied."""


def _powers_of_ten() -> NDArray[np.uint64]:
    """Return 128 bits of each power of ten, rounded up; shape (powers, 2), the high bits first."""
    words = []
    for power in range(_MIN_POWER, _MAX_POWER + 1):
        numerator, denominator = (10**power, 1) if power >= 0 else (1, 10**-power)
        # The binary exponent of the power is floor(log2(10^power)), so the first bit is 1.
        shift = 127 - _floor_log2_of_power_of_ten(power)
        if shift >= 0:
            numerator <<= shift
        else:
            denominator <<= -shift
        bits = -(-numerator // denominator)
        words.append((bits >> 64, bits & (2**64 - 1)))
    return np.asarray(words, dtype=np.uint64)


def _floor_log2_of_power_of_ten(power: int) -> int:
    return (power * 1_741_647) >> 19


POWERS_OF_TEN = _powers_of_ten()
"""Shape (powers, 2). 128 bits of each power of ten; an argument of `write_floats`."""
_HIDDEN_BIT = np.uint64(1 << 52)
_FRACTION_BITS = np.uint64((1 << 52) - 1)
_LOW_HALF = np.uint64(0xFFFFFFFF)
_EXPONENT_BIAS = 1075
_ZERO, _ONE, _TWO, _FOUR, _TEN, _FORTY, _HUNDRED, _TEN_TO_THE_15, _HALF = (
    np.uint64(number) for number in (0, 1, 2, 4, 10, 40, 100, 10**15, 32)
)
_NULL = np.frombuffer(b"null", dtype=np.uint8)
_MAX_PLAIN_EXPONENT, _MIN_PLAIN_EXPONENT = 15, -5
"""Largest and smallest decimal exponent of the first digit in a text without exponent."""


@kernel
def write_floats(values, begin, end, powers, texts, lengths):  # type: ignore[no-untyped-def]
    """Write the texts of rows `begin` to `end` - 1 of `values` (columns, n), and their lengths.

    `powers`: POWERS_OF_TEN. `texts`: shape (columns, n, TEXT_BYTES). `lengths`: shape (columns, n).
    A value that is not finite is `null`.
    """
    for column in range(values.shape[0]):
        bits = values[column].view(np.uint64)
        for row in range(begin, end):
            lengths[column, row] = _write_float(bits[row], powers, texts[column, row])


@kernel
def write_integers(values, begin, end, texts, lengths):  # type: ignore[no-untyped-def]
    """Write the texts of rows of `values` (columns, n), which are int64; see `write_floats`."""
    for column in range(values.shape[0]):
        for row in range(begin, end):
            value, text = values[column, row], texts[column, row]
            start, magnitude = 0, np.uint64(value)
            if value < 0:
                text[0] = 45
                start, magnitude = 1, _ZERO - magnitude
            digits = _count_digits(magnitude)
            _write_digits(text, start, digits, magnitude)
            lengths[column, row] = start + digits


@inlined_kernel
def _write_float(bits, powers, text):  # type: ignore[no-untyped-def]
    """Write the text of a float64 with these bits; return the text's length."""
    fraction = bits & _FRACTION_BITS
    exponent = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    if exponent == 0x7FF:
        for i in range(4):
            text[i] = _NULL[i]
        return 4
    start = 0
    if bits >> np.uint64(63):
        text[0] = 45
        start = 1
    if exponent == 0 and fraction == _ZERO:
        digits, power = _ZERO, 0
    else:
        digits, power = _shortest_decimal(fraction, exponent, powers)
    while digits >= _TEN:
        shorter = digits // _TEN
        if shorter * _TEN != digits:
            break
        digits, power = shorter, power + 1
    count = _count_digits(digits)
    first_exponent = count + power - 1
    if first_exponent < _MIN_PLAIN_EXPONENT or first_exponent > _MAX_PLAIN_EXPONENT:
        return _write_with_exponent(text, start, digits, count, first_exponent)
    return _write_plain(text, start, digits, count, power)


@inlined_kernel
def _write_plain(text, start, digits, count, power):  # type: ignore[no-untyped-def]
    """Write digits * 10^power without an exponent; return the end of the text."""
    if power >= 0:
        _write_digits(text, start, count, digits)
        end = start + count
        for i in range(end, end + power):
            text[i] = 48
        end += power
        text[end] = 46
        text[end + 1] = 48
        return end + 2
    if count + power <= 0:
        zeros = -(count + power)
        text[start] = 48
        text[start + 1] = 46
        for i in range(start + 2, start + 2 + zeros):
            text[i] = 48
        _write_digits(text, start + 2 + zeros, count, digits)
        return start + 2 + zeros + count
    # The digits are written one place to the right, then the integer digits move left.
    _write_digits(text, start + 1, count, digits)
    point = start + count + power
    for i in range(start, point):
        text[i] = text[i + 1]
    text[point] = 46
    return start + count + 1


@inlined_kernel
def _write_with_exponent(text, start, digits, count, exponent):  # type: ignore[no-untyped-def]
    """Write digits with a point after the first one, and the exponent; return the text's end."""
    _write_digits(text, start + 1, count, digits)
    text[start] = text[start + 1]
    end = start + 1
    if count > 1:
        text[start + 1] = 46
        end = start + 1 + count
    text[end] = 101
    end += 1
    if exponent < 0:
        text[end] = 45
        end += 1
        exponent = -exponent
    magnitude = np.uint64(exponent)
    exponent_digits = _count_digits(magnitude)
    _write_digits(text, end, exponent_digits, magnitude)
    return end + exponent_digits


@inlined_kernel
def _shortest_decimal(fraction, biased_exponent, powers):  # type: ignore[no-untyped-def]
    """Return digits and power: digits * 10^power is the shortest decimal that rounds to the number.

    Among the shortest decimals, this is the one nearest to the number. The digits may end with
    zeros. `fraction`, `biased_exponent`: the fields of a float64 that is finite and not 0.
    """
    significand, exponent = fraction, 1 - _EXPONENT_BIAS
    if biased_exponent != 0:
        significand, exponent = fraction | _HIDDEN_BIT, biased_exponent - _EXPONENT_BIAS
    is_even = (significand & _ONE) == _ZERO
    # Below a power of two, the neighbouring number is only half as far away as above.
    is_lower_neighbour_closer = fraction == _ZERO and biased_exponent > 1
    power = (exponent * 1_262_611 - (524_031 if is_lower_neighbour_closer else 0)) >> 22
    shift = np.uint64(exponent + ((-power * 1_741_647) >> 19) + 1)
    high, low = powers[-power - _MIN_POWER, 0], powers[-power - _MIN_POWER, 1]
    centre = significand * _FOUR
    lower_end = centre - (_ONE if is_lower_neighbour_closer else _TWO)
    lower = _multiply_to_odd(high, low, lower_end << shift)
    scaled = _multiply_to_odd(high, low, centre << shift)
    upper = _multiply_to_odd(high, low, (centre + _TWO) << shift)
    if not is_even:
        lower, upper = lower + _ONE, upper - _ONE
    digits = scaled // _FOUR
    if digits >= _TEN:
        shorter = digits // _TEN
        is_floor_inside = lower <= _FORTY * shorter
        is_ceiling_inside = _FORTY * shorter + _FORTY <= upper
        if is_floor_inside != is_ceiling_inside:
            return shorter + (_ONE if is_ceiling_inside else _ZERO), power + 1
    is_floor_inside = lower <= _FOUR * digits
    is_ceiling_inside = _FOUR * digits + _FOUR <= upper
    if is_floor_inside != is_ceiling_inside:
        return digits + (_ONE if is_ceiling_inside else _ZERO), power
    middle = _FOUR * digits + _TWO
    rounds_up = scaled > middle or (scaled == middle and (digits & _ONE) == _ONE)
    return digits + (_ONE if rounds_up else _ZERO), power


@inlined_kernel
def _multiply_to_odd(high, low, factor):  # type: ignore[no-untyped-def]
    """Return the bits above 128 of a 128-bit number times a factor; bit 0 is set if inexact."""
    carried, _ = _multiply(low, factor)
    result, remainder = _multiply(high, factor)
    remainder += carried
    if remainder < carried:
        result += _ONE
    return result | (_ONE if remainder > _ONE else _ZERO)


@inlined_kernel
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """Return the high and the low 64 bits of a product of two 64-bit numbers."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW_HALF, b >> _HALF, b & _LOW_HALF
    low, middle = a_low * b_low, a_high * b_low
    middle += low >> _HALF
    other_middle = a_low * b_high + (middle & _LOW_HALF)
    return a_high * b_high + (middle >> _HALF) + (other_middle >> _HALF), a * b


@inlined_kernel
def _count_digits(number):  # type: ignore[no-untyped-def]
    # Most float64 have 16 or 17 digits, so the count starts near these.
    count, bound = 1, _TEN
    if number >= _TEN_TO_THE_15:
        count, bound = 16, _TEN * _TEN_TO_THE_15
    while count < 20 and number >= bound:
        count += 1
        bound *= _TEN
    return count


@inlined_kernel
def _write_digits(text, start, count, number):  # type: ignore[no-untyped-def]
    """Write the last `count` digits of a number; two at a time, because divisions are slow."""
    position = start + count
    while position >= start + 2:
        shorter = number // _HUNDRED
        pair = np.uint32(number - shorter * _HUNDRED)
        first_digit = pair // np.uint32(10)
        text[position - 2] = 48 + first_digit
        text[position - 1] = 48 + pair - first_digit * np.uint32(10)
        number = shorter
        position -= 2
    if position > start:
        text[start] = 48 + np.uint8(number % _TEN)
