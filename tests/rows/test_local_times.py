"""The kernel reads local times and patterns of numbers like the strict parser."""
# ruff: noqa: DTZ001 - these times have no zone

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.csv_chunk import chunk_reader
from sensorwatch.common.rows.fast.patterns import compile_pattern
from sensorwatch.common.rows.fast.zone_offsets import UNKNOWN_OFFSET, zone_offsets
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import EPOCH, BadTime, time_reader
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.rows.strict_parsing import parse_strictly
from tests.rows.test_plain import read_by_kernel

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # the clock changes by half an hour
    "Asia/Kathmandu",
    "America/St_Johns",  # the clock changed one minute after midnight
    "Pacific/Apia",  # skipped a whole day
    "Africa/Casablanca",
    "America/Caracas",
    "Antarctica/Troll",  # the clock changes by two hours
    "Asia/Tehran",
    "UTC",
]
PATTERNS = [
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%Y%m%d%H%M%S",
    "%Y%m%d",
    "%m/%d/%y %I:%M %p",
    "%m/%d/%Y %I:%M:%S.%f%p",
    "%Y-%m-%d %H:%M:%S,%f",
    "%H:%M %d.%m.%Y",
    "%S%M%H %d%m%y°",
    "%Y  %m/%d",
]
EDGES = [
    *(datetime(year, month, day) for year in (1970, 1983, 2011, 2024, 2025, 2099)
      for month, day in ((1, 1), (3, 10), (3, 30), (3, 31), (4, 6), (10, 5), (10, 26), (10, 27),
                         (11, 2), (11, 3), (12, 29), (12, 30), (12, 31))),
    datetime(1, 1, 1), datetime(9999, 12, 31), datetime(1969, 12, 31), datetime(2100, 1, 1),
    datetime(1900, 2, 28), datetime(2000, 2, 29),
]  # fmt: skip
local_times = st.datetimes() | st.builds(
    lambda day, seconds: day + timedelta(seconds=seconds),
    st.sampled_from(EDGES[:-6]),
    st.integers(-7200, 4 * 86_400)
    | st.sampled_from([3600, 7199, 7200, 10_799, 10_800, 60, 61, 3660]),
)


def strict_time(text: str, time_field: TimeField) -> int | None:
    try:
        return time_reader(time_field)(text, None)
    except BadTime:
        return None


def assert_agrees(text: str, time_field: TimeField) -> None:
    result = read_by_kernel(text, time_field)
    assert result is None or result == strict_time(text, time_field)


@given(local_times, st.sampled_from(ZONES), st.sampled_from(["infer", "first", "second", "reject"]))
def test_a_local_time_of_a_zone_equals_that_of_the_strict_parser(
    local_time: datetime, zone: str, fold: str
) -> None:
    time_field = TimeField.model_validate({"naive_zone": zone, "fold": fold})
    for text in (local_time.isoformat(), local_time.isoformat(" ", timespec="seconds")):
        assert_agrees(text, time_field)


def written(local_time: datetime, pattern: str) -> str:
    year = f"{local_time.year:04}"
    return local_time.strftime(pattern.replace("%Y", year))


@given(local_times, st.sampled_from(PATTERNS), st.sampled_from(ZONES))
def test_a_time_of_a_pattern_equals_that_of_the_strict_parser(
    local_time: datetime, pattern: str, zone: str
) -> None:
    time_field = TimeField(format=(pattern,), naive_zone=zone)
    text = written(local_time, pattern)
    assert_agrees(text, time_field)
    assert_agrees(text.lower(), time_field)
    assert_agrees(text.replace("0", ""), time_field)
    assert_agrees(text.replace(" 0", "  "), time_field)


@given(
    st.sampled_from(PATTERNS),
    st.lists(st.sampled_from([*"0123456789", *" .:/,-°", "12", "24", "60", "AM", "pm", "31", "٣"])),
)
def test_texts_that_are_nearly_times_are_read_like_the_strict_parser_or_not_at_all(
    pattern: str, parts: list[str]
) -> None:
    assert_agrees("".join(parts), TimeField(format=(pattern,), naive_zone="Europe/Berlin"))


@given(
    st.lists(
        st.sampled_from(["%Y", "%m", "%d", "%H", "%I", "%M", "%S", "%f", "%p", "%y", *". 1:"])
    ),
    st.datetimes(datetime(1970, 1, 2), datetime(2068, 1, 1)),
)
def test_a_pattern_of_any_parts_is_read_like_the_strict_parser_or_not_compiled(
    parts: list[str], local_time: datetime
) -> None:
    pattern = "".join(["%Y", *parts])
    if compile_pattern(pattern) is not None:
        assert_agrees(local_time.strftime(pattern), TimeField(format=(pattern,), naive_zone="UTC"))


@pytest.mark.parametrize("zone", ZONES)
def test_the_kernel_reads_each_time_without_a_change_of_the_clock(zone: str) -> None:
    time_field = TimeField(format=("%d.%m.%Y %H:%M:%S",), naive_zone=zone)
    day, strict_hours = datetime(2023, 1, 1), 0
    while day.year < 2026:
        text = day.strftime("%d.%m.%Y %H:%M:%S")
        result = read_by_kernel(text, time_field)
        if result is None:
            strict_hours += 1
        else:
            assert result == strict_time(text, time_field)
        day += timedelta(hours=1)

    assert strict_hours <= 4 * 6


@pytest.mark.parametrize("zone", ZONES[:-1])
def test_the_table_has_each_change_of_the_offset(zone: str) -> None:
    table = zone_offsets(zone)

    assert np.all(np.diff(table.starts) >= 0)
    for start, offset in zip(
        table.starts[1:-1].tolist(), table.offsets[1:-1].tolist(), strict=True
    ):
        local_time = (EPOCH + timedelta(seconds=start)).replace(tzinfo=None)
        expected = strict_time(
            local_time.isoformat(), TimeField.model_validate({"naive_zone": zone, "fold": "reject"})
        )
        if offset == UNKNOWN_OFFSET:
            assert expected is None
        else:
            assert expected == (start - offset) * 1_000_000


def csv_and_json(texts: list[str], **time: Any) -> None:
    """Check that rows with these times are the same from kernels and from the strict parser."""
    schema = schema_from_plain({"time": {"field": "t"} | time, "signals": [{"name": "x"}]})
    payloads = [b'{"t": "%s", "x": 1.5}' % text.encode() for text in texts]
    received = [1_729_990_000_000_000 + row * 1_800_000_000 for row in range(len(texts))]

    readings, rejections = parse(payloads, schema, received=received)
    strict_readings, strict_rejections = parse_strictly(payloads, schema, received=received)

    assert readings.event_time.tolist() == strict_readings.event_time.tolist()
    assert rejections == strict_rejections
    reader = chunk_reader(schema, ["t", "x"])
    assert reader is not None
    (csv_readings, _), _ = reader.read(b"".join(b"%s,1.5\n" % text.encode() for text in texts))
    csv_payload_readings, _ = parse_strictly(payloads, schema)
    assert csv_readings.event_time.tolist() == csv_payload_readings.event_time.tolist()


@pytest.mark.parametrize("fold", ["infer", "first", "second", "reject"])
@pytest.mark.parametrize("pattern", ["rfc3339", "%d.%m.%Y %H:%M"])
def test_rows_in_repeated_and_skipped_hours_follow_the_rules_of_the_strict_parser(
    fold: str, pattern: str
) -> None:
    starts = [datetime(2024, 10, 26, 23, tzinfo=UTC), datetime(2024, 3, 30, 23, tzinfo=UTC)]
    local_hours = [
        (start + timedelta(minutes=15 * step)).replace(tzinfo=None)
        for start in starts
        for step in range(20)
    ]
    text_format = "%Y-%m-%d %H:%M:%S" if pattern == "rfc3339" else pattern
    csv_and_json(
        [hour.strftime(text_format) for hour in local_hours],
        format=pattern,
        naive_zone="Europe/Berlin",
        fold=fold,
        max_future_seconds=1e9,
    )


@pytest.mark.parametrize(
    "pattern", ["%d-%b-%Y", "%Y-%m-%d %H:%M:%S%z", "%H:%M", "%Y-%m-%d %I:%M", "%j %Y", "%Y%f%m%d"]
)
def test_patterns_of_names_and_offsets_are_left_to_the_strict_parser(pattern: str) -> None:
    assert compile_pattern(pattern) is None
