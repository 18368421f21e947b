from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.instants import EPOCH, BadTime, format_instant, time_reader
from sensorwatch.common.rows.limits import EARLIEST, LATEST
from sensorwatch.common.rows.schema import TimeField

MIDNIGHT = 1_735_689_600_000_000


def read(value: object, **declared: object) -> int:
    return time_reader(TimeField.model_validate(declared))(value)


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
        ("0001-01-01T00:00:00Z", EARLIEST),
        ("9999-12-31T23:59:59.999999Z", LATEST),
    ],
)
def test_rfc_3339_is_read(text: str, microseconds: int) -> None:
    assert read(text) == microseconds


@pytest.mark.parametrize(
    "text",
    [
        "2025-01-01",
        "20250101T000000Z",
        "2025-W01-1T00:00:00Z",
        "2025-01-01T00:00Z",
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:00:60Z",
        "2025-02-29T00:00:00Z",
        "2025-01-01T00:00:00+0100",
        "2025-01-01T00:00:00+24:00",
        "2025-01-01T00:00:00,5Z",
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
def test_what_only_looks_like_rfc_3339_is_refused(text: object) -> None:
    with pytest.raises(BadTime):
        read(text)


def test_a_time_without_a_zone_is_in_the_declared_one_or_refused() -> None:
    text = "2025-07-01T12:00:00"

    assert read(text, naive_zone="Europe/Oslo") == read("2025-07-01T10:00:00Z")
    assert read(text, naive_zone="UTC") == read("2025-07-01T12:00:00Z")
    with pytest.raises(BadTime, match="no zone"):
        read(text)
    with pytest.raises(BadTime, match="years 1 to 9999"):
        read("0001-01-01T00:00:00", naive_zone="Asia/Tokyo")


def test_epochs_are_numbers_and_nothing_else() -> None:
    assert read(1735689600, format="epoch_s") == MIDNIGHT
    assert read(1735689600.5, format="epoch_s") == MIDNIGHT + 500_000
    assert read(1735689600000, format="epoch_ms") == MIDNIGHT
    for value in ("1735689600", True, None, float("nan"), float("inf"), 10**40, -(10**40), [1]):
        with pytest.raises(BadTime):
            read(value, format="epoch_s")


def test_a_strptime_pattern_is_read_and_what_does_not_fit_is_refused() -> None:
    declared = {"format": "%d.%m.%Y %H:%M", "naive_zone": "UTC"}

    assert read("01.01.2025 00:00", **declared) == MIDNIGHT
    assert read("01.01.2025 01:00 +0100", format="%d.%m.%Y %H:%M %z") == MIDNIGHT
    for value in ("2025-01-01", "32.01.2025 00:00", 5):
        with pytest.raises(BadTime):
            read(value, **declared)


moments = st.datetimes(
    datetime(2, 1, 1),  # noqa: DTZ001 - the zone is an argument of its own
    datetime(9998, 12, 31),  # noqa: DTZ001 - as above
    timezones=st.just(UTC),
)


seconds = st.integers(EARLIEST // 1_000_000, LATEST // 1_000_000).map(
    lambda complete: complete * 1_000_000
)


@given(moments, st.integers(-23 * 60 - 59, 23 * 60 + 59))
def test_any_instant_is_read_back_from_any_offset(moment: datetime, minutes: int) -> None:
    exact = (moment - EPOCH) // timedelta(microseconds=1)
    there = moment.astimezone(timezone(timedelta(minutes=minutes)))

    assert read(there.isoformat()) == exact
    assert read(format_instant(exact)) == exact


@given(st.lists(st.integers(EARLIEST, LATEST) | seconds, max_size=20))
def test_instants_in_a_column_are_written_as_each_of_them(instants: list[int]) -> None:
    column = np.asarray(instants, dtype=np.int64)

    assert format_instants(column) == [format_instant(instant) for instant in instants]


@given(st.text(max_size=40) | st.floats() | st.integers() | st.none())
def test_no_value_raises_anything_but_bad_time(value: object) -> None:
    for declared in ("rfc3339", "epoch_s", "epoch_ms", "%Y-%m-%d %H:%M:%S"):
        try:
            result = read(value, format=declared, naive_zone="America/New_York")
        except BadTime:
            continue
        assert EARLIEST <= result <= LATEST
