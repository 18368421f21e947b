"""Kernels for dates of the Gregorian calendar."""

from sensorwatch.common.kernels import inlined_kernel


@inlined_kernel
def days_in_month(year, month):  # type: ignore[no-untyped-def]
    """Return the number of days of a month."""
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@inlined_kernel
def days_before_month(year, month):  # type: ignore[no-untyped-def]
    """Return the number of days from 1970-01-01 to the first of a month.

    Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    """
    shifted_year = year - (1 if month <= 2 else 0)
    era = shifted_year // 400
    day_of_era = shifted_year - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return (
        era * 146_097
        + day_of_era * 365
        + day_of_era // 4
        - day_of_era // 100
        + day_of_year
        - 719_468
    )


@inlined_kernel
def date_of_day(days):  # type: ignore[no-untyped-def]
    """Return year, month and day for a number of days since 1970-01-01 (civil_from_days)."""
    shifted_days = days + 719_468
    era = shifted_days // 146_097
    day_of_era = shifted_days - era * 146_097
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day
