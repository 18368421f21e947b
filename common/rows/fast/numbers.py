"""Kernels that read decimal numbers as the nearest float64.

Sources: Clinger, "How to read floating point numbers accurately" (PLDI 1990), for numbers that need
only one rounding; Lemire, "Number parsing at a gigabyte per second" (SPE 2021), algorithm 1, for
the others.
"""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel

NEEDS_STRICT_PARSER = -1
"""Returned instead of a position if only the strict parser can read the text."""
MAX_DECIMAL_DIGITS = 18
"""Largest number of digits that `read_decimal` reads."""
MIN_EXPONENT, MAX_EXPONENT = -27, 55
"""Decimal exponents for which 128 bits of a power of five are enough for correct rounding."""
MAX_UINT64_DIGITS = 19
"""Number of decimal digits that always fit into 64 bits."""

_ZERO_DIGIT, _NINE_DIGIT, _MINUS, _DOT = ord("0"), ord("9"), ord("-"), ord(".")
_UPPER_E, _LOWER_E = ord("E"), ord("e")
_TEN = np.uint64(10)


def _power_of_five(exponent: int) -> tuple[int, int]:
    """Return the 128 leading bits of 5 ** exponent as two words.

    The bits are rounded up if the exponent is negative.
    """
    if exponent >= 0:
        power = 5**exponent
        bits = power << 128 >> power.bit_length()
    else:
        divisor = 5**-exponent
        bits = (1 << (127 + divisor.bit_length())) // divisor + 1
        bits >>= bits.bit_length() - 128
    return bits >> 64, bits & (2**64 - 1)


_POWERS_OF_FIVE = np.asarray(
    [_power_of_five(exponent) for exponent in range(MIN_EXPONENT, MAX_EXPONENT + 1)],
    dtype=np.uint64,
)
_POWERS_OF_TEN = np.asarray([float(10**exponent) for exponent in range(23)])
_MAX_EXACT_INTEGER = np.uint64(2**53)
_HALF_WORD_BITS, _LOW_HALF_WORD_MASK = np.uint64(32), np.uint64(2**32 - 1)
_ZERO, _ONE, _THREE, _NINE = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(9)
_UNDECIDED_BITS = np.uint64(0x1FF)
_IMPLICIT_BIT = np.uint64(1 << 52)


@inlined_kernel
def read_json_number(data, pos, end):  # type: ignore[no-untyped-def]
    """Read the number that begins at `pos`, by the grammar of RFC 8259.

    Returns the position after the number, and its value. The position is NEEDS_STRICT_PARSER if the
    text is not a number, or has too many digits.
    """
    is_negative = data[pos] == _MINUS
    if is_negative:
        pos += 1
    first_digit = pos
    pos, significand, digit_count = _read_json_digits(data, pos, end, np.uint64(0), 0)
    if pos == first_digit or (data[first_digit] == _ZERO_DIGIT and pos > first_digit + 1):
        return NEEDS_STRICT_PARSER, 0.0
    exponent = 0
    if pos < end and data[pos] == _DOT:
        first_digit = pos + 1
        pos, significand, digit_count = _read_json_digits(
            data, first_digit, end, significand, digit_count
        )
        exponent = first_digit - pos
        if exponent == 0:
            return NEEDS_STRICT_PARSER, 0.0
    if pos < end and (data[pos] == _UPPER_E or data[pos] == _LOWER_E):
        power, pos = read_exponent(data, pos + 1, end)
        if pos < 0:
            return NEEDS_STRICT_PARSER, 0.0
        exponent += power
    value = nearest_float64(significand, exponent)
    if digit_count > MAX_UINT64_DIGITS or np.isnan(value):
        return NEEDS_STRICT_PARSER, 0.0
    return pos, -value if is_negative else value


@inlined_kernel
def _read_json_digits(data, pos, end, significand, digit_count):  # type: ignore[no-untyped-def]
    """Append digits to `significand`; leading zeros do not count in `digit_count`."""
    while pos < end and _ZERO_DIGIT <= data[pos] <= _NINE_DIGIT:
        significand = significand * _TEN + np.uint64(data[pos] - _ZERO_DIGIT)
        if significand or digit_count:
            digit_count += 1
        pos += 1
    return pos, significand, digit_count


@inlined_kernel
def read_decimal(data, pos, end):  # type: ignore[no-untyped-def]
    """Read data[pos:end] as the nearest float64; return the value and whether it could be read.

    The text may contain up to MAX_DECIMAL_DIGITS digits, a point and an exponent.
    """
    is_negative = False
    if pos < end and (data[pos] == 45 or data[pos] == 43):
        is_negative = data[pos] == 45
        pos += 1
    mantissa, exponent, pos = _read_decimal_digits(data, pos, end)
    if pos < 0:
        return 0.0, False
    if pos < end and (data[pos] == 101 or data[pos] == 69):
        power, pos = read_exponent(data, pos + 1, end)
        exponent += power
    if pos != end:
        return 0.0, False
    value = nearest_float64(np.uint64(mantissa), exponent)
    return (-value if is_negative else value), not np.isnan(value)


@inlined_kernel
def _read_decimal_digits(data, pos, end):  # type: ignore[no-untyped-def]
    """Read digits and an optional point; return mantissa, exponent and end position, or -1."""
    mantissa, digits, exponent = 0, 0, 0
    has_digit = has_point = False
    while pos < end:
        byte = data[pos]
        if 48 <= byte <= 57:
            has_digit = True
            mantissa = mantissa * 10 + (byte - 48)
            digits += mantissa > 0
            exponent -= has_point
            if digits > MAX_DECIMAL_DIGITS:
                return 0, 0, -1
        elif byte == 46 and not has_point:
            has_point = True
        else:
            break
        pos += 1
    return mantissa, exponent, (pos if has_digit else -1)


@inlined_kernel
def read_exponent(data, pos, end):  # type: ignore[no-untyped-def]
    """Return the value of an exponent and its end position (-1: the exponent has no digits)."""
    is_negative = False
    if pos < end and (data[pos] == 45 or data[pos] == 43):
        is_negative = data[pos] == 45
        pos += 1
    power, first_digit = 0, pos
    while pos < end and 48 <= data[pos] <= 57 and pos - first_digit < 4:
        power = power * 10 + (data[pos] - 48)
        pos += 1
    return (-power if is_negative else power), (pos if pos > first_digit else -1)


@inlined_kernel
def nearest_float64(significand, exponent):  # type: ignore[no-untyped-def]
    """Return the float64 nearest to significand * 10 ** exponent, or NaN.

    Returns NaN if the exponent is not from MIN_EXPONENT to MAX_EXPONENT and the significand is not
    0. `significand`: uint64. `exponent`: int64.
    """
    if significand == _ZERO:
        return 0.0
    if significand <= _MAX_EXACT_INTEGER and -22 <= exponent <= 22:
        if exponent < 0:
            return np.float64(significand) / _POWERS_OF_TEN[-exponent]
        return np.float64(significand) * _POWERS_OF_TEN[exponent]
    if exponent < MIN_EXPONENT or exponent > MAX_EXPONENT:
        return np.nan
    return _nearest_by_product(significand, exponent)


@inlined_kernel
def _nearest_by_product(significand, exponent):  # type: ignore[no-untyped-def]
    shift = _leading_zeros(significand)
    significand <<= np.uint64(shift)
    high, low = _multiply(significand, _POWERS_OF_FIVE[exponent - MIN_EXPONENT, 0])
    if high & _UNDECIDED_BITS == _UNDECIDED_BITS:
        second_high, _ = _multiply(significand, _POWERS_OF_FIVE[exponent - MIN_EXPONENT, 1])
        low += second_high
        if second_high > low:
            high += _ONE
    top_bit = high >> np.uint64(63)
    dropped_bits = top_bit + _NINE
    fraction = high >> dropped_bits
    power = ((217706 * exponent) >> 16) + 63 + np.int64(top_bit) - shift + 1023
    may_be_tie = low <= _ONE and -4 <= exponent <= 23 and fraction << dropped_bits == high
    if may_be_tie and fraction & _THREE == _ONE:  # halfway between two floats: take the even one
        fraction -= _ONE
    fraction += fraction & _ONE
    fraction >>= _ONE
    if fraction >= _IMPLICIT_BIT << _ONE:
        fraction = _IMPLICIT_BIT
        power += 1
    # The result is a normal float64, because it is between 1e-27 and 2 ** 64 * 1e55.
    bits = fraction & ~_IMPLICIT_BIT | np.uint64(power) << np.uint64(52)
    return np.uint64(bits).view(np.float64)


@inlined_kernel
def _leading_zeros(word):  # type: ignore[no-untyped-def]
    zero_count = 0
    for bit_count in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - bit_count) == _ZERO:
            word <<= np.uint64(bit_count)
            zero_count += bit_count
    return zero_count


@inlined_kernel
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """Return the product of two 64-bit words as two words, the high word first."""
    a_high, a_low = a >> _HALF_WORD_BITS, a & _LOW_HALF_WORD_MASK
    b_high, b_low = b >> _HALF_WORD_BITS, b & _LOW_HALF_WORD_MASK
    low_product = a_low * b_low
    cross_product = a_high * b_low + (low_product >> _HALF_WORD_BITS)
    middle_sum = a_low * b_high + (cross_product & _LOW_HALF_WORD_MASK)
    high = a_high * b_high + (cross_product >> _HALF_WORD_BITS) + (middle_sum >> _HALF_WORD_BITS)
    return high, (middle_sum << _HALF_WORD_BITS) | (low_product & _LOW_HALF_WORD_MASK)
