"""The quality flag of a value: a field beside the value that says whether the value is good."""

from collections.abc import Callable, Mapping

from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.rows.values import ABSENT, NO_OBJECT, BadQuality

Lookup = Callable[[Mapping[str, object]], object]
"""A function that returns the value of one field of a record, or ABSENT."""


def lookup_with_quality(
    column: NumericColumn, look_up_value: Lookup, look_up_flag: Lookup
) -> Lookup:
    """Return a lookup of the column's value that returns BadQuality if the flag is not good.

    A flag that is absent, null or empty is good, because many sources send a flag only with a value
    that is not good.
    """
    good_texts = frozenset(["", *map(_flag_text, column.good_quality)])

    def look_up(record: Mapping[str, object]) -> object:
        flag = look_up_flag(record)
        is_good = flag in (ABSENT, NO_OBJECT, None) or _flag_text(flag) in good_texts
        return look_up_value(record) if is_good else BadQuality(flag)

    return look_up


def _flag_text(flag: object) -> str | None:
    """Return the text by which flags are compared; None for an array or an object.

    The number 192, the number 192.0 and the texts "192" and "192.0" are one flag, and so are `true`
    and the text "True".
    """
    match flag:
        case bool():
            return "true" if flag else "false"
        case int():
            return str(flag)
        case float():
            return str(int(flag)) if flag.is_integer() else repr(flag)
        case str():
            text = flag.strip().casefold()
            whole_number, point, decimals = text.partition(".")
            return whole_number if point and decimals and not decimals.strip("0") else text
    return None
