"""The filter of time patterns excludes no pattern with which strptime can read a text."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorwatch.schema_inference.time_format_guess import STRPTIME_PATTERNS
from sensorwatch.schema_inference.time_pattern_filter import may_read

TIMES = [
    datetime(2025, 1, 31, 23, 5, 9, 12_000, UTC),
    datetime(1999, 12, 1, 1, 0, 0, 0, timezone(-timedelta(hours=5, minutes=30, seconds=7))),
]


def is_read(pattern: str, text: str) -> bool:
    try:
        datetime.strptime(text, pattern)  # noqa: DTZ007 - only the success matters
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(
    "change", [str, str.lower, str.upper, lambda text: text.replace(" ", "\t")]
)
def test_a_pattern_may_read_the_times_in_this_pattern(change: Callable[[str], str]) -> None:
    texts = {pattern: [time.strftime(pattern) for time in TIMES] for pattern in STRPTIME_PATTERNS}

    excluded_patterns = [
        (pattern, text)
        for pattern, pattern_texts in texts.items()
        for text in map(change, pattern_texts)
        if not may_read(pattern, text)
    ]

    assert excluded_patterns == []


@given(
    st.sampled_from(STRPTIME_PATTERNS),
    st.text("0123456789/,:.-+ \t\xa0TtZzWwGgMmAaPpJjNnDdEeCc\u0661\u2003", max_size=20),
)
@example("%H:%M:%S%z", "10:00:00-05:30:07.5")
@example("%d.%m.%Y %H", " 1.2.2025\u200303")
def test_a_pattern_that_reads_a_text_is_not_excluded(pattern: str, text: str) -> None:
    assert may_read(pattern, text) or not is_read(pattern, text)


@pytest.mark.parametrize(
    "text", ["2025-01-31T10:00:00Z", "31.01.2025 10:00", "1.5", "sensor-1", "Jan 5, 2025 10:00 AM"]
)
def test_most_patterns_are_excluded(text: str) -> None:
    remaining_patterns = [pattern for pattern in STRPTIME_PATTERNS if may_read(pattern, text)]

    assert len(remaining_patterns) < 0.1 * len(STRPTIME_PATTERNS), remaining_patterns
