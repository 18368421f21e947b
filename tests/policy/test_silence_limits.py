"""A policy sets when a sensor is silent."""

import numpy as np
import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.alarm_policy import NOTHING_LEARNED, AlarmPolicy, policy_from_bytes
from sensorwatch.common.policy.plain_words import describe_policy
from sensorwatch.common.policy.silence_limits import silence_limits
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.silence_rule import SensorSilence, SilenceRule
from tests.policy.policy_builders import a_policy
from tests.publishing.test_episode_events import a_row_payload
from tests.reading_builders import START_TIME, a_detector

TEN_MINUTES = SilenceRule(check_seconds=60, after_seconds=600)
SILENCES = """
[[silence]]
name = "uploads"
sensor = "gateway-*"
silent_after = "2h"

[[silence]]
name = "spare"
sensor = "spare"
silence = false

[[silence]]
name = "never reached"
sensor = "*-1"
silent_after = "30m"
"""
POLICY = a_policy(SILENCES)


def silences(
    policy: AlarmPolicy | None, minutes_by_sensor: dict[str, range], *, batches: int = 1
) -> list[SensorSilence]:
    """Return the silences of sensors with rows at some minutes, in batches."""
    detector = a_detector().under(policy)
    memory = detector.empty_memory(silence_rule=TEN_MINUTES)
    times = sorted(
        (minute, name) for name, minutes in minutes_by_sensor.items() for minute in minutes
    )
    payloads = [a_row_payload(name, minute) for minute, name in times]
    all_silences: list[SensorSilence] = []
    for part in np.array_split(np.arange(len(payloads)), batches):
        outcome = process([payloads[n] for n in part], detector, memory, positions=part)
        all_silences += outcome.silences
        memory = restored(memory, policy)
    return all_silences


def restored(memory: Memory, policy: AlarmPolicy | None) -> Memory:
    """Return the memory that a snapshot of `memory` gives."""
    return memory_from_bytes(
        memory_to_bytes(memory),
        a_detector().under(policy),
        max_sensors=memory.max_sensors,
        silence_rule=TEN_MINUTES,
    )


@pytest.mark.parametrize(
    ("sensor", "minutes_of_silences"),
    [("pump-2", [13]), ("gateway-2", [123]), ("gateway-1", [123]), ("spare", []), ("x-1", [33])],
)
@pytest.mark.parametrize("batches", [1, 7])
def test_the_first_limit_that_matches_a_sensor_applies(
    sensor: str, minutes_of_silences: list[int], batches: int
) -> None:
    sensor_silences = silences(POLICY, {"other": range(200), sensor: range(3)}, batches=batches)

    assert [s.sensor_id for s in sensor_silences] == [sensor] * len(minutes_of_silences)
    assert [(s.time - START_TIME) // 60_000_000 for s in sensor_silences] == minutes_of_silences


def test_a_policy_without_limits_of_silence_changes_no_silence() -> None:
    rows = {"other": range(60), "pump": range(3)}

    assert silences(a_policy('[[rule]]\nname = "r"\nmin_rows = 2'), rows) == silences(None, rows)


def test_limits_are_found_beside_rules_and_windows() -> None:
    policy = a_policy(
        '[[rule]]\nname = "r"\nsensor = "spare"\nmin_rows = 2\n'
        '[[window]]\nname = "w"\naction = "annotate"\ndates = [2025-01-01]\nzone = "UTC"\n'
        + SILENCES
    )

    limits = silence_limits(policy, ("spare", "pump", "gateway-1", "x-1"))

    assert (limits / 1e6).tolist() == [0.0, -1e-6, 7_200.0, 1_800.0]


def test_limits_are_stored_and_do_not_change_the_ids_of_other_policies() -> None:
    assert policy_from_bytes(POLICY.to_bytes(), POLICY.id) == POLICY
    assert POLICY.content.format == 2
    assert a_policy("").content.format == 1
    assert a_policy("").id == "policy-6ef425dce6a2d6cf"
    assert POLICY.with_learned(NOTHING_LEARNED) == POLICY


def test_plain_words_describe_limits() -> None:
    assert describe_policy(POLICY, 0) == [
        "silence uploads: the sensors gateway-* are silent after 2 h without a row",
        "silence spare: the sensors spare are never silent",
        "silence never reached: the sensors *-1 are silent after 30 min without a row",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "give either silent_after"),
        ('silent_after = "2h"\nsilence = false', "give either silent_after"),
        ('silent_after = "2 hours"', "not a duration such as"),
        ('silent_after = "4000d"', "longer than 3650 days"),
        ("silence = true", "silence.0.silence"),
        ('silent_afer = "2h"', "silent_after"),
    ],
)
def test_a_wrong_limit_is_refused_with_its_reason(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        a_policy(f'[[silence]]\nname = "s"\nsensor = "*"\n{text}\n')
