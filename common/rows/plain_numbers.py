"""Plain decimal numbers to the nearest float64, compiled."""

import numpy as np
from numba import njit

POWERS = 10.0 ** np.arange(23)
"""The powers of ten that a float64 holds exactly."""
MOST_DIGITS = 18
_MOST_EXACT = 2**53
_SPLIT = 134_217_729.0  # 2**27 + 1 (Dekker 1971)


@njit(cache=True, nogil=True, error_model="numpy")
def number(data, at, end):  # type: ignore[no-untyped-def]
    """Read data[at:end] as the nearest float64; the second is False where it is not plain enough.

    Up to MOST_DIGITS digits, a point, an exponent. Where digits over a power of ten need more than
    one rounding, the quotient is computed twice as long, and is not trusted near a tie.
    """
    negative = False
    if at < end and (data[at] == 45 or data[at] == 43):
        negative = data[at] == 45
        at += 1
    mantissa, exponent, at = _digits(data, at, end)
    if at < 0:
        return 0.0, False
    if at < end and (data[at] == 101 or data[at] == 69):
        power, at = _power(data, at + 1, end)
        exponent += power
    if at != end:
        return 0.0, False
    value, exact = _scaled(mantissa, exponent)
    return (-value if negative else value), exact


@njit(cache=True, nogil=True, error_model="numpy")
def _digits(data, at, end):  # type: ignore[no-untyped-def]
    """Return digits with a point somewhere as mantissa and exponent, and their end; -1: none."""
    mantissa, digits, exponent = 0, 0, 0
    seen = point = False
    while at < end:
        byte = data[at]
        if 48 <= byte <= 57:
            seen = True
            mantissa = mantissa * 10 + (byte - 48)
            digits += mantissa > 0
            exponent -= point
            if digits > MOST_DIGITS:
                return 0, 0, -1
        elif byte == 46 and not point:
            point = True
        else:
            break
        at += 1
    return mantissa, exponent, (at if seen else -1)


@njit(cache=True, nogil=True, error_model="numpy")
def _power(data, at, end):  # type: ignore[no-untyped-def]
    """Return the number of an exponent, and its end; -1: there is none."""
    down = False
    if at < end and (data[at] == 45 or data[at] == 43):
        down = data[at] == 45
        at += 1
    power, first = 0, at
    while at < end and 48 <= data[at] <= 57 and at - first < 4:
        power = power * 10 + (data[at] - 48)
        at += 1
    return (-power if down else power), (at if at > first else -1)


@njit(cache=True, nogil=True, error_model="numpy")
def _scaled(mantissa, exponent):  # type: ignore[no-untyped-def]
    """Return mantissa * 10**exponent, and whether it is certainly the nearest float64."""
    if mantissa == 0:
        return 0.0, True
    if not -22 <= exponent <= 22:
        return 0.0, False
    if mantissa <= _MOST_EXACT:
        # Both are exact, so one rounding is all there is (Clinger 1990).
        if exponent < 0:
            return mantissa / POWERS[-exponent], True
        return mantissa * POWERS[exponent], True
    if exponent >= 0:
        return 0.0, False
    high = float(mantissa)
    low = float(mantissa - int(high))
    divisor = POWERS[-exponent]
    quotient = high / divisor
    more = (_rest(high, quotient, divisor) + low) / divisor
    value = quotient + more
    left = more - (value - quotient)
    above, below = np.nextafter(value, np.inf) - value, value - np.nextafter(value, 0.0)
    return value, above == below and abs(abs(left) - 0.5 * above) > 1e-6 * above


@njit(cache=True, nogil=True, error_model="numpy")
def _rest(high, quotient, divisor):  # type: ignore[no-untyped-def]
    """Return high - quotient * divisor without an error (Dekker's product)."""
    product = quotient * divisor
    scaled = _SPLIT * quotient
    first = scaled - (scaled - quotient)
    second = quotient - first
    scaled = _SPLIT * divisor
    third = scaled - (scaled - divisor)
    fourth = divisor - third
    error = first * third - product
    error += first * fourth
    error += second * third
    error += second * fourth
    return (high - product) - error
