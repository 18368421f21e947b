"""Times in rows: the accepted formats, and the refused texts."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import EPOCH, BadTime, format_instant, time_reader
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME
from sensorwatch.common.rows.zones import load_zone

MIDNIGHT = 1_735_689_600_000_000


def read_time(value: object, **options: object) -> int:
    return time_reader(TimeField.model_validate(options))(value, None)


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2025-01-01T00:00:00Z", MIDNIGHT),
        ("2025-01-01t00:00:00z", MIDNIGHT),
        ("2025-01-01 00:00:00+00:00", MIDNIGHT),
        ("2025-01-01T01:30:00+01:30", MIDNIGHT),
        ("2024-12-31T23:00:00-01:00", MIDNIGHT),
        ("2025-01-01T00:00:00.5Z", MIDNIGHT + 500_000),
        ("2025-01-01T00:00:00.1234567899Z", MIDNIGHT + 123_456),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("0001-01-01T00:00:00Z", EARLIEST_TIME),
        ("9999-12-31T23:59:59.999999Z", LATEST_TIME),
    ],
)
def test_rfc_3339_is_read(text: str, microseconds: int) -> None:
    assert read_time(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01T01:00:00+0100",
        "2024-12-31 23:30:00-0030",
        "2025-01-01 02:00:00+02",
        "2025-01-01 00:00:00 UTC",
        "2025-01-01T00:00Z",
        "2025-01-01 01:00+01",
        "2025-01-01T00:00:00GMT",
        "2025-01-01 00:00:00 +00:00",
        "2024-12-31T24:00:00Z",
        "2025-01-01T00:00:00,000Z",
    ],
)
def test_other_spellings_of_rfc_3339_are_read(text: str) -> None:
    assert read_time(text) == MIDNIGHT


def test_a_decimal_comma_separates_the_fraction() -> None:
    assert read_time("2025-01-01T00:00:00,0125Z") == MIDNIGHT + 12_500


@pytest.mark.parametrize(
    ("time_format", "value"),
    [
        ("epoch_us", MIDNIGHT),
        ("epoch_us", str(MIDNIGHT)),
        ("epoch_ns", MIDNIGHT * 1000 + 999),
        ("epoch_ns", str(MIDNIGHT * 1000)),
        ("epoch_ns", float(MIDNIGHT * 1000)),
        ("epoch_s", "1735689600"),
        ("epoch_s", "1.7356896E9"),
        ("excel_days", 45658),
        ("excel_days", "45658.000000"),
        ("excel_days", 45658 + 3e-7),
        ("%d-%b-%Y %H:%M:%S", "31-Dec-2024 24:00:00"),
        ("%Y-%m-%d %H", "2024-12-31 24"),
        ("%Y%m%d%H", "2024123124"),
        ("%d.%m.%y %H.%M", "31.12.24 24.00"),
        ("%m/%d/%y %I:%M %p", "01/01/25 12:00 AM"),
    ],
)
def test_each_time_format_reads_the_same_instant(time_format: str, value: object) -> None:
    assert read_time(value, format=time_format, naive_zone="UTC") == MIDNIGHT


@pytest.mark.parametrize("value", ["45658 days", -1, 1e9, float("nan"), True, None])
def test_what_is_not_a_number_of_days_is_refused(value: object) -> None:
    with pytest.raises(BadTime, match="days since 1899-12-30"):
        read_time(value, format="excel_days", naive_zone="UTC")


def test_excel_days_are_rounded_to_a_second_if_it_is_near_else_to_a_millisecond() -> None:
    one_minute, half_second = 45658.000694, 45658 + 0.5 / 86_400

    times = [
        read_time(days, format="excel_days", naive_zone="UTC") for days in (one_minute, half_second)
    ]

    assert times == [MIDNIGHT + 60_000_000, MIDNIGHT + 500_000]


def test_hour_24_is_only_the_end_of_the_day() -> None:
    options = {"format": "%Y-%m-%d %H:%M", "naive_zone": "UTC"}

    assert read_time("2024-12-31 24:00", **options) == MIDNIGHT
    for text in ("2024-12-31 24:01", "2024-12-31 25:00", "9999-12-31 24:00", "2024-24-24 24:24"):
        with pytest.raises(BadTime):
            read_time(text, **options)


def test_several_formats_are_tried_in_order_and_an_error_names_all() -> None:
    options = {"format": ["epoch_ms", "%d.%m.%Y"], "naive_zone": "UTC"}

    assert read_time("1735689600000", **options) == read_time("01.01.2025", **options) == MIDNIGHT
    with pytest.raises(BadTime, match=r"milliseconds since 1970; .*%d\.%m\.%Y"):
        read_time("2025-01-01", **options)


HALF_PAST_TWO = 1_729_989_000_000_000
"""02:30 in Berlin on 2024-10-27, before the clock is set back; in microseconds UTC."""
HOUR = 3_600_000_000


@pytest.mark.parametrize(
    ("fold", "received", "expected"),
    [
        ("first", None, HALF_PAST_TWO),
        ("second", None, HALF_PAST_TWO + HOUR),
        ("infer", None, HALF_PAST_TWO),
        ("infer", HALF_PAST_TWO + 5_000_000, HALF_PAST_TWO),
        ("infer", HALF_PAST_TWO + HOUR + 5_000_000, HALF_PAST_TWO + HOUR),
    ],
)
def test_a_repeated_local_time_is_read_as_declared(
    fold: str, received: int | None, expected: int
) -> None:
    time_field = TimeField.model_validate({"naive_zone": "Europe/Berlin", "fold": fold})

    assert time_reader(time_field)("2024-10-27 02:30:00", received) == expected


def test_a_local_time_that_cannot_be_read_is_refused_with_the_reason() -> None:
    with pytest.raises(BadTime, match="skips this time: summer time begins"):
        read_time("2024-03-31 02:30:00", naive_zone="Europe/Berlin")
    with pytest.raises(BadTime, match="shows this time twice"):
        read_time("2024-10-27 02:30:00", naive_zone="Europe/Berlin", fold="reject")


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01",
        "20250101T000000Z",
        "2025-W01-1T00:00:00Z",
        "2025-01-01T00Z",
        "2025-01-01T24:00:01Z",
        "9999-12-31T24:00:00Z",
        "2025-01-01T00:00:60Z",
        "2025-02-29T00:00:00Z",
        "2025-01-01T00:00:00+01:0",
        "2025-01-01T00:00:00+24:00",
        "2025-01-01T00:00:00,Z",
        "2025-01-01T00:00:00 utc",
        " 2025-01-01T00:00:00Z",
        "2025-01-01T00:00:00Z\n",
        "٢٠٢٥-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        1735689600,
        None,
        True,
    ],
)
def test_a_text_that_resembles_rfc_3339_is_refused(text: object) -> None:
    with pytest.raises(BadTime):
        read_time(text)


def test_a_time_without_a_zone_is_in_the_declared_zone_or_refused() -> None:
    text = "2025-07-01T12:00:00"

    assert read_time(text, naive_zone="Europe/Oslo") == read_time("2025-07-01T10:00:00Z")
    assert read_time(text, naive_zone="UTC") == read_time("2025-07-01T12:00:00Z")
    with pytest.raises(BadTime, match="no zone"):
        read_time(text)
    with pytest.raises(BadTime, match="years 1 to 9999"):
        read_time("0001-01-01T00:00:00", naive_zone="Asia/Tokyo")


def test_an_epoch_that_is_not_a_finite_number_is_refused() -> None:
    assert read_time(1735689600, format="epoch_s") == MIDNIGHT
    assert read_time(1735689600.5, format="epoch_s") == MIDNIGHT + 500_000
    assert read_time(1735689600000, format="epoch_ms") == MIDNIGHT
    for value in (
        "1_0",
        "1e999",
        "",
        True,
        None,
        float("nan"),
        float("inf"),
        10**40,
        -(10**40),
        [1],
    ):
        with pytest.raises(BadTime):
            read_time(value, format="epoch_s")


def test_a_time_is_read_by_its_strptime_pattern_or_refused() -> None:
    options = {"format": "%d.%m.%Y %H:%M", "naive_zone": "UTC"}

    assert read_time("01.01.2025 00:00", **options) == MIDNIGHT
    assert read_time("01.01.2025 01:00 +0100", format="%d.%m.%Y %H:%M %z") == MIDNIGHT
    for value in ("2025-01-01", "32.01.2025 00:00", 5):
        with pytest.raises(BadTime):
            read_time(value, **options)


datetime_strategy = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - `timezones` adds the zone
    datetime(9998, 12, 31),  # noqa: DTZ001 - `timezones` adds the zone
    timezones=st.just(UTC),
)


whole_second_instants = st.integers(EARLIEST_TIME // 1_000_000, LATEST_TIME // 1_000_000).map(
    lambda second: second * 1_000_000
)


@given(datetime_strategy, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_an_instant_is_read_from_a_text_with_any_utc_offset(
    instant: datetime, offset_minutes: int
) -> None:
    microseconds = (instant - EPOCH) // timedelta(microseconds=1)
    local_time = instant.astimezone(timezone(timedelta(minutes=offset_minutes)))

    assert read_time(local_time.isoformat()) == microseconds
    assert read_time(format_instant(microseconds)) == microseconds


@given(st.lists(st.integers(EARLIEST_TIME, LATEST_TIME) | whole_second_instants, max_size=20))
def test_a_column_of_instants_is_formatted_like_single_instants(instants: list[int]) -> None:
    column = np.asarray(instants, dtype=np.int64)

    assert format_instants(column) == [format_instant(instant) for instant in instants]


@given(st.text(max_size=40) | st.floats() | st.integers() | st.none())
def test_any_value_is_an_instant_or_bad_time(value: object) -> None:
    for time_format in ("rfc3339", "epoch_s", "epoch_ms", "%Y-%m-%d %H:%M:%S"):
        try:
            result = read_time(value, format=time_format, naive_zone="America/New_York")
        except BadTime:
            continue
        assert EARLIEST_TIME <= result <= LATEST_TIME


def test_zones_come_from_the_locked_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONTZPATH", "/nowhere")

    assert load_zone("America/Argentina/Buenos_Aires").key == "America/Argentina/Buenos_Aires"
    for name in ("Mars", "../zones", "Europe", "/etc/localtime", "Europe/Berlin/x", "", "zone.tab"):
        with pytest.raises(ValueError, match="not an IANA time zone"):
            load_zone(name)
