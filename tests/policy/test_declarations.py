"""Validation of policy files, and what is built from them."""

from datetime import UTC, datetime, timedelta

import pytest

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.policy.alarm_policy import policy_from_bytes
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.policy.declarations import CALENDAR_DAYS
from sensorwatch.common.policy.plain_words import describe_policy
from sensorwatch.common.policy.rules import WINDOW_BIT
from tests.policy.policy_builders import BUILD_TIME, a_policy

HOUR = 3_600_000_000
NIGHTLY = """
[[window]]
name = "nightly"
action = "suppress"
weekdays = ["sat"]
from = 22:00:00
to = 02:00:00
zone = "Europe/Oslo"
"""


def us(text: str) -> int:
    return to_microseconds(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rule = 3", "rule: Input should be a valid list"),
        ('[[rule]]\nname = "r"', "the rule has no effect"),
        ('[[rule]]\nname = "r"\nmin_row = 3', 'unknown key "rule.0.min_row" (did you mean'),
        ('[[rule]]\nname = "r"\nhigh_limit = 3', "a limit needs a signal"),
        ('[[rule]]\nname = "r"\nmin_deviation = nan', "finite"),
        (
            '[[rule]]\nname = "r"\nsignal = "x"\nlow_limit = 3\nhigh_limit = 3',
            "low_limit must be below high_limit",
        ),
        ('[[rule]]\nname = "r"\nmin_rows = 2\nseverity = "major"', "severity applies to limits"),
        ('[[rule]]\nname = "r"\nmin_rows = 2\n' * 2, 'the name "r" occurs twice'),
        ('[[window]]\nname = "w"\naction = "suppress"', "needs begin and end, or weekdays"),
        (NIGHTLY.replace("Europe/Oslo", "Mars/Base"), "not an IANA time zone"),
        (NIGHTLY.replace("zone", "#"), "need a zone"),
        (NIGHTLY.replace("to = 02:00:00", ""), "give both from and to"),
        (
            '[[window]]\nname = "w"\naction = "suppress"\nbegin = 2025-01-02\nend = 2025-01-01',
            "need an offset",
        ),
        ("[calendar]\nuntil = 2024-12-31", "wanted a day from 2025-01-01"),
        ("[[rule]", "is not TOML"),
    ],
)
def test_a_wrong_file_is_refused_with_the_reason(text: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        a_policy(text)

    assert message in str(error.value)


def test_a_policy_has_at_most_fifty_rules() -> None:
    rules = [f'[[rule]]\nname = "r{number}"\nmin_rows = 2' for number in range(51)]

    assert len(a_policy("\n".join(rules[:50])).rules) == 50
    with pytest.raises(UsageError, match="at most 50"):
        a_policy("\n".join(rules))


def test_the_id_depends_only_on_the_content() -> None:
    text = '[[rule]]\nname = "r"\nmin_rows = 2'
    later = BUILD_TIME + timedelta(days=3)

    assert a_policy(text).id == a_policy("# a comment\n" + text, now=later).id
    assert a_policy(text).id != a_policy(text.replace("2", "3")).id


def test_a_policy_is_read_back_from_its_bytes_and_damage_is_refused() -> None:
    policy = a_policy('[[rule]]\nname = "r"\nsignal = "x"\nhigh_limit = 2.5\n' + NIGHTLY)

    assert policy_from_bytes(policy.to_bytes(), policy.id).content == policy.content
    for damaged in (policy.to_bytes()[:-2], policy.to_bytes().replace(b"2.5", b"2.6")):
        with pytest.raises(ModelRefused, match="is damaged"):
            policy_from_bytes(damaged, policy.id)


def test_a_recurring_window_is_expanded_with_the_offsets_of_its_zone() -> None:
    policy = a_policy(NIGHTLY)
    intervals = policy.windows[0].intervals

    assert (us("2025-01-04T21:00Z"), us("2025-01-05T01:00Z")) in intervals
    assert (us("2025-07-05T20:00Z"), us("2025-07-06T00:00Z")) in intervals
    # The clocks are set forward on 30 March, and back on 26 October.
    lengths = {(end - begin) / HOUR: begin for begin, end in intervals}
    assert set(lengths) == {3.0, 4.0, 5.0}
    assert lengths[3.0] == us("2025-03-29T21:00Z")
    assert lengths[5.0] == us("2025-10-25T20:00Z")
    last_day = BUILD_TIME.date() + timedelta(days=CALENDAR_DAYS + 1)
    assert policy.content.calendar_end == to_microseconds(
        datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC)
    )


def test_dates_are_days_as_a_whole_and_touching_days_are_joined() -> None:
    policy = a_policy(
        '[[window]]\nname = "holidays"\naction = "annotate"\nzone = "UTC"\n'
        "dates = [2025-12-26, 2025-12-25, 2026-01-01]"
    )

    assert policy.windows[0].intervals == (
        (us("2025-12-25T00:00Z"), us("2025-12-27T00:00Z")),
        (us("2026-01-01T00:00Z"), us("2026-01-02T00:00Z")),
    )
    assert policy.content.calendar_end is None


def test_a_window_without_offsets_uses_its_zone() -> None:
    policy = a_policy(
        '[[window]]\nname = "once"\naction = "suppress"\nzone = "America/New_York"\n'
        "begin = 2025-03-01T08:00:00\nend = 2025-03-01T10:00:00"
    )

    assert policy.windows[0].intervals == ((us("2025-03-01T13:00Z"), us("2025-03-01T15:00Z")),)
    assert policy.windows[0].key & WINDOW_BIT


def test_plain_words_name_every_condition_and_the_end_of_the_calendar() -> None:
    policy = a_policy(
        '[[rule]]\nname = "r"\nsensor = "pump-*"\nsignal = "flow"\ndirection = "high"\n'
        "min_deviation = 5\nmin_relative_deviation = 0.1\nlow_limit = 1\nhigh_limit = 90\n"
        'severity = "major"\nmin_rows = 3\n' + NIGHTLY
    )
    end = policy.content.calendar_end or 0

    text = "\n".join(describe_policy(policy, to_microseconds(BUILD_TIME)))
    for fragment in (
        "signal flow of the sensors pump-*",
        "unusually high",
        "the deviation is at least 5",
        "10 % of the expected value",
        "below 1 is an anomaly of severity major",
        "above 90 is an anomaly of severity major",
        "an episode becomes an alarm when it has 3 rows",
        "next: 2025-01-04 21:00Z to 2025-01-05 01:00Z",
        "calendar: ends at 2026-02-06 00:00Z",
    ):
        assert fragment in text
    assert "calendar: has ended" in "\n".join(describe_policy(policy, end))
