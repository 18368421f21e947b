"""Writing of times in the format that a schema declares."""

from datetime import UTC, timedelta

from sensorwatch.common.rows.field_declarations import EPOCH_UNITS_NS, TimeField
from sensorwatch.common.rows.instants import EPOCH, EXCEL_EPOCH, format_instant
from sensorwatch.common.rows.zones import load_zone

WrittenTime = str | int | float


def write_time(microseconds: int, time_field: TimeField) -> list[WrittenTime]:
    """Return the value of each time field for a time in microseconds UTC.

    The first of the declared formats is used. If there are several fields, the text is split at its
    spaces. Raises OverflowError if the format cannot express the time.
    """
    time_format, field_count = time_field.formats[0], len(time_field.fields)
    if time_format in EPOCH_UNITS_NS:
        return [_in_unit(microseconds, EPOCH_UNITS_NS[time_format])]
    if time_format == "rfc3339" and field_count == 1:
        return [format_instant(microseconds)]
    zone = load_zone(time_field.naive_zone or "UTC")
    local_time = (EPOCH + timedelta(microseconds=microseconds)).astimezone(zone)
    if time_format == "excel_days":
        return [(local_time.replace(tzinfo=UTC) - EXCEL_EPOCH) / timedelta(days=1)]
    text = (
        local_time.isoformat(" ") if time_format == "rfc3339" else local_time.strftime(time_format)
    )
    return list(text.split(" ", field_count - 1))


def _in_unit(microseconds: int, unit_ns: int) -> int | float:
    quotient, remainder = divmod(microseconds * 1000, unit_ns)
    return microseconds * 1000 / unit_ns if remainder else quotient
