"""From a number's decimal digits to the nearest float64, as a kernel.

Clinger, "How to read floating point numbers accurately" (PLDI 1990), where one rounding is all
there is; else Lemire, "Number parsing at a gigabyte per second" (SPE 2021), algorithm 1.
"""

import numpy as np

from sensorwatch.common.kernels import part

LEAST_EXPONENT, MOST_EXPONENT = -27, 55
"""Powers of five in here are so exact in 128 bits that the product always tells the rounding."""
MOST_DIGITS = 19
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


_POWERS = np.asarray(
    [_power_of_five(exponent) for exponent in range(LEAST_EXPONENT, MOST_EXPONENT + 1)],
    dtype=np.uint64,
)
_TENS = np.asarray([float(10**exponent) for exponent in range(23)])
_EXACT = np.uint64(2**53)
_HALF, _LOW_HALF = np.uint64(32), np.uint64(2**32 - 1)
_ZERO, _ONE, _THREE, _NINE = np.uint64(0), np.uint64(1), np.uint64(3), np.uint64(9)
_UNSURE = np.uint64(0x1FF)
_IMPLIED = np.uint64(1 << 52)


@part
def nearest(digits, exponent):  # type: ignore[no-untyped-def]
    """Return the float64 nearest to digits * 10 ** exponent; NaN where somebody else must say.

    `digits`: uint64. `exponent`: int64.
    """
    if digits == _ZERO:
        return 0.0
    if digits <= _EXACT and -22 <= exponent <= 22:
        if exponent < 0:
            return np.float64(digits) / _TENS[-exponent]
        return np.float64(digits) * _TENS[exponent]
    if exponent < LEAST_EXPONENT or exponent > MOST_EXPONENT:
        return np.nan
    return _by_product(digits, exponent)


@part
def _by_product(digits, exponent):  # type: ignore[no-untyped-def]
    shift = _leading_zeros(digits)
    digits <<= np.uint64(shift)
    high, low = _multiply(digits, _POWERS[exponent - LEAST_EXPONENT, 0])
    if high & _UNSURE == _UNSURE:
        more, _ = _multiply(digits, _POWERS[exponent - LEAST_EXPONENT, 1])
        low += more
        if more > low:
            high += _ONE
    upper = high >> np.uint64(63)
    drop = upper + _NINE
    fraction = high >> drop
    power = ((217706 * exponent) >> 16) + 63 + np.int64(upper) - shift + 1023
    between = low <= _ONE and -4 <= exponent <= 23 and fraction << drop == high
    if between and fraction & _THREE == _ONE:  # exactly between two: the even one
        fraction -= _ONE
    fraction += fraction & _ONE
    fraction >>= _ONE
    if fraction >= _IMPLIED << _ONE:
        fraction = _IMPLIED
        power += 1
    # In range: 1 to 2 ** 64 times 10 ** -27 to 10 ** 55 is neither tiny nor infinite.
    bits = fraction & ~_IMPLIED | np.uint64(power) << np.uint64(52)
    return np.uint64(bits).view(np.float64)


@part
def _leading_zeros(word):  # type: ignore[no-untyped-def]
    count = 0
    for step in (32, 16, 8, 4, 2, 1):
        if word >> np.uint64(64 - step) == _ZERO:
            word <<= np.uint64(step)
            count += step
    return count


@part
def _multiply(one, other):  # type: ignore[no-untyped-def]
    """Return the product of two words in two words, the high one first."""
    one_high, one_low = one >> _HALF, one & _LOW_HALF
    other_high, other_low = other >> _HALF, other & _LOW_HALF
    lowest = one_low * other_low
    cross = one_high * other_low + (lowest >> _HALF)
    middle = one_low * other_high + (cross & _LOW_HALF)
    high = one_high * other_high + (cross >> _HALF) + (middle >> _HALF)
    return high, (middle << _HALF) | (lowest & _LOW_HALF)
