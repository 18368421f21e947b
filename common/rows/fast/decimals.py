"""From a number's decimal digits to the nearest float64, as a kernel.

Clinger, "How to read floating point numbers accurately" (PLDI 1990), where one rounding is all
there is; else Lemire, "Number parsing at a gigabyte per second" (SPE 2021), algorithm 1.
"""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel

MIN_EXPONENT, MAX_EXPONENT = -27, 55
"""Powers of five in here are so exact in 128 bits that the product always tells the rounding."""
MAX_DIGITS = 19
"""So many decimal digits fit into 64 bits."""


def _power_of_five(exponent: int) -> tuple[int, int]:
    """Return the 128 leading bits of 5 ** exponent in two words; a reciprocal is rounded up."""
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
_HALF_BITS, _LOW_HALF_MASK = np.uint64(32), np.uint64(2**32 - 1)
_ZERO, _ONE, _THREE, _NINE = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(9)
_UNDECIDED_BITS = np.uint64(0x1FF)
_IMPLICIT_BIT = np.uint64(1 << 52)


@inlined_kernel
def nearest_float64(significand, exponent):  # type: ignore[no-untyped-def]
    """Return the float64 nearest to digits * 10 ** exponent; NaN where somebody else must say.

    `significand`: uint64. `exponent`: int64.
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
    if may_be_tie and fraction & _THREE == _ONE:  # exactly between two: the even one
        fraction -= _ONE
    fraction += fraction & _ONE
    fraction >>= _ONE
    if fraction >= _IMPLICIT_BIT << _ONE:
        fraction = _IMPLICIT_BIT
        power += 1
    # In range: 1 to 2 ** 64 times 10 ** -27 to 10 ** 55 is neither tiny nor infinite.
    bits = fraction & ~_IMPLICIT_BIT | np.uint64(power) << np.uint64(52)
    return np.uint64(bits).view(np.float64)


@inlined_kernel
def _leading_zeros(word):  # type: ignore[no-untyped-def]
    count = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - step) == _ZERO:
            word <<= np.uint64(step)
            count += step
    return count


@inlined_kernel
def _multiply(a, b):  # type: ignore[no-untyped-def]
    """Return the product of two words in two words, the high one first."""
    a_high, a_low = a >> _HALF_BITS, a & _LOW_HALF_MASK
    b_high, b_low = b >> _HALF_BITS, b & _LOW_HALF_MASK
    lowest = a_low * b_low
    cross = a_high * b_low + (lowest >> _HALF_BITS)
    middle = a_low * b_high + (cross & _LOW_HALF_MASK)
    high = a_high * b_high + (cross >> _HALF_BITS) + (middle >> _HALF_BITS)
    return high, (middle << _HALF_BITS) | (lowest & _LOW_HALF_MASK)
