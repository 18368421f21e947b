"""SenML packs (RFC 8428) in JSON: base values are applied to the elements that follow them."""

from collections.abc import Mapping, Sequence

from sensorwatch.common.rows.row_arrays import shared_value

_BASE_FIELDS = ("bn", "bt", "bv", "bu")
_MIN_ABSOLUTE_SECONDS = 2**28
"""Smaller times are relative to the time at which the pack was sent (RFC 8428, section 4.5.3)."""


def resolve_senml(elements: Sequence[object], *, sent_seconds: float | None = None) -> list[object]:
    """Return the elements of a pack with the base name, time, value and unit applied.

    The name `n` stays relative to the base name `bn`, which is repeated in each element; so `bn`
    can name the sensor, and `n` the quantity. `t` becomes a time in seconds since 1970. `v` becomes
    the sum of the value and the base value. `sent_seconds`: when the pack was sent, in seconds
    since 1970; if it is None, `t` is removed from elements with a relative time. A base value of a
    wrong type becomes the time or value of its elements, so that they are rejected. An element that
    is not an object is returned unchanged.

    >>> pack = [{"bn": "pump1:", "bt": 1.6e9, "n": "flow", "v": 2.0}, {"n": "heat", "t": 5, "v": 3}]
    >>> resolve_senml(pack)[1]
    {'n': 'heat', 't': 1600000005.0, 'v': 3, 'bn': 'pump1:'}
    """
    base: dict[str, object] = {}
    resolved: list[object] = []
    for element in elements:
        if not isinstance(element, Mapping):
            resolved.append(element)
            continue
        base |= {key: shared_value(element[key]) for key in _BASE_FIELDS if key in element}
        fields = {key: value for key, value in element.items() if key not in _BASE_FIELDS}
        if "bn" in base:
            fields["bn"] = base["bn"]
        if "u" not in fields and "bu" in base:
            fields["u"] = base["bu"]
        if "bv" in base:
            fields["v"] = _sum(base["bv"], fields.get("v", 0))
        fields["t"] = _time(_sum(base.get("bt", 0), fields.get("t", 0)), sent_seconds)
        if fields["t"] is None:
            del fields["t"]
        resolved.append(fields)
    return resolved


def _time(seconds: object, sent_seconds: float | None) -> object:
    """Return a time since 1970; None if it is relative to an unknown time."""
    if not isinstance(seconds, float) or abs(seconds) >= _MIN_ABSOLUTE_SECONDS:
        return seconds
    return None if sent_seconds is None else sent_seconds + seconds


def _sum(base: object, value: object) -> object:
    """Return the sum of two numbers. If a value is not a number, return this value unchanged.

    The strict parser later rejects a value that is not a number.
    """
    for part in (base, value):
        if isinstance(part, bool) or not isinstance(part, int | float):
            return part
    assert isinstance(base, int | float)
    assert isinstance(value, int | float)
    try:
        return float(base) + float(value)
    except OverflowError:
        return float("inf")
