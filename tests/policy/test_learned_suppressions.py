"""Learned suppressions suppress the excursions that are alike, and no others."""

from dataclasses import replace
from functools import cache

import msgspec
import numpy as np
import pytest

from sensorwatch.common.policy.alarm_policy import (
    EMPTY_POLICY,
    AlarmPolicy,
    policy_from_bytes,
)
from sensorwatch.common.policy.learned import LearnedPart, LearnedSignal, LearnedSuppression
from sensorwatch.common.policy.rules import Direction
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.patterns import PATTERNS
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.suppression import SUPPRESSIONS, Suppression
from tests.policy.policy_builders import a_policy
from tests.policy.test_policy_scoring import ROWS, a_model, a_stream, fault_rows, score
from tests.reading_builders import START_TIME

FAR_FUTURE = START_TIME + 10**15
INFO = SEVERITIES.index(Severity.INFO)


def a_suppression(**changes: object) -> LearnedSuppression:
    """Return a suppression of the fault of sensor-00 in the stream: x1, x2 and x3 are high."""
    suppression = LearnedSuppression(
        "sensors-0-240",
        "false",
        "sensor-00",
        "",
        tuple(LearnedSignal(name, Direction.HIGH, 7.0, 30.0) for name in ("x1", "x2", "x3")),
        tuple(pattern.value for pattern in PATTERNS),
        12,
        FAR_FUTURE,
    )
    return msgspec.structs.replace(suppression, **changes)


def a_learned_policy(*suppressions: LearnedSuppression) -> AlarmPolicy:
    return EMPTY_POLICY.with_learned(LearnedPart(suppressions))


@cache
def alarms_of(policy: AlarmPolicy | None, sensor: int) -> tuple[Suppression, ...]:
    numbers = score(policy).detections.suppression[fault_rows(sensor)]
    return tuple(SUPPRESSIONS[number] for number in numbers)


def test_an_alike_excursion_is_suppressed_and_names_the_verdict() -> None:
    policy = a_learned_policy(a_suppression())
    outcome, plain = score(policy), score(None)

    rows = fault_rows(0)
    assert set(alarms_of(policy, 0)) == {Suppression.RULE}
    names = {policy.name_of(number) for number in outcome.detections.rule[rows]}
    assert names == {"verdict:sensors-0-240"}
    assert set(outcome.detections.severity[rows]) == {INFO}
    assert np.array_equal(outcome.detections.pattern, plain.detections.pattern)
    assert alarms_of(policy, 1) == alarms_of(None, 1)


def test_a_name_in_events_is_short_and_contains_partition_and_offset() -> None:
    name = a_suppression(episode_id=f"{'t' * 249}-2-1039").name

    assert len(name) == 64
    assert name.startswith("verdict:t")
    assert name.endswith("-2-1039")


HIGH = LearnedSignal("x1", Direction.HIGH, 7.0, 30.0)


@pytest.mark.parametrize(
    "changes",
    [
        {"sensor": "sensor-02"},
        {"group": "another", "sensor": ""},
        {"expires": START_TIME},
        {"patterns": ("stuck",)},
        {"signals": (HIGH,)},
        {"signals": tuple(msgspec.structs.replace(HIGH, name=n, direction=Direction.LOW)
                          for n in ("x1", "x2", "x3"))},
        {"signals": tuple(msgspec.structs.replace(HIGH, name=n, max_deviation=9.0)
                          for n in ("x1", "x2", "x3"))},
        {"signals": tuple(msgspec.structs.replace(HIGH, name=n, min_start=50.0, max_deviation=90.0)
                          for n in ("x1", "x2", "x3"))},
        {"signals": tuple(msgspec.structs.replace(HIGH, name=n) for n in ("other", "x1", "x2"))},
    ],
    ids=["sensor", "group", "expired", "pattern", "another signal", "direction", "larger",
         "smaller", "unknown signal"],
)  # fmt: skip
def test_an_excursion_that_is_not_alike_remains_an_alarm(changes: dict[str, object]) -> None:
    policy = a_learned_policy(a_suppression(**changes))

    assert Suppression.RULE not in alarms_of(policy, 0)


def test_an_excursion_that_lasts_longer_becomes_an_alarm() -> None:
    policy = a_learned_policy(a_suppression(max_rows=2))

    states = alarms_of(policy, 0)
    assert states[:3] == (Suppression.RULE, Suppression.RULE, Suppression.NONE)
    severity = score(policy).detections.severity[fault_rows(0)]
    assert severity[1] == INFO < severity[2]


def test_a_learned_suppression_does_not_excuse_a_broken_limit() -> None:
    text = '[[rule]]\nname = "max"\nsignal = "x1"\nhigh_limit = 10'
    policy = a_policy(text).with_learned(LearnedPart((a_suppression(),)))

    rows = fault_rows(0)[a_stream().values[fault_rows(0), 0] > 10]
    assert len(rows) > 0
    assert not score(policy).detections.rule[rows].any()


def test_a_policy_without_a_learned_part_keeps_its_id() -> None:
    policy = a_policy('[[rule]]\nname = "long"\nmin_rows = 3')
    learned = policy.with_learned(LearnedPart((a_suppression(),)))

    # This id was computed before policies had a learned part.
    assert policy.id == "policy-94b68bc6e5d3ff57"
    assert b"learned" not in policy.to_bytes()
    assert learned.with_learned(LearnedPart()) == policy
    assert learned.id != policy.id
    assert policy_from_bytes(learned.to_bytes(), learned.id) == learned


@pytest.mark.parametrize("seed", range(2))
def test_cuts_and_undone_batches_change_no_result(seed: int) -> None:
    policy = a_learned_policy(a_suppression(max_rows=3))
    detector = a_model().under(policy)
    expected = score_readings(a_stream(), [], detector, detector.empty_memory())
    random, memory = np.random.default_rng(seed), detector.empty_memory()
    parts: list[Outcome] = []
    start = 0
    while start < ROWS:
        stop = min(ROWS, start + int(random.integers(1, 40)))
        part = a_stream().take(slice(start, stop))
        part = replace(part, index=part.index - start)
        memory.begin()
        if random.integers(2):
            score_readings(part, [], detector, memory)
            memory.undo()
        parts.append(score_readings(part, [], detector, memory))
        memory = memory_from_bytes(memory_to_bytes(memory), detector)
        start = stop

    bits = np.concatenate([part.score_bits for part in parts])
    assert np.array_equal(bits, expected.score_bits)
    patterns = np.concatenate([part.detections.pattern for part in parts])
    assert np.array_equal(patterns, expected.detections.pattern)
