"""Failures in a row are lasting only if they are many and go on for long."""

from sensorwatch.consumer.failure_streak import LONGEST_PAUSE_SECONDS, MIN_FAILURES, FailureStreak


class Streak:
    def __init__(self) -> None:
        self.now = 100.0
        self.failures = FailureStreak(seconds=30.0, clock=lambda: self.now)

    def fail(self, times: int, *, every: float = 0.0) -> bool:
        for _ in range(times):
            self.failures.add()
            self.now += every
        return self.failures.lasting


def test_many_failures_in_a_moment_are_not_lasting() -> None:
    assert not Streak().fail(100)


def test_a_few_failures_are_not_lasting_however_long_they_take() -> None:
    assert not Streak().fail(MIN_FAILURES - 1, every=100.0)


def test_many_failures_for_long_are_lasting() -> None:
    assert Streak().fail(MIN_FAILURES, every=10.0)


def test_a_commit_ends_the_streak() -> None:
    streak = Streak()
    streak.fail(MIN_FAILURES, every=10.0)

    streak.failures.end()

    assert not streak.fail(MIN_FAILURES)


def test_the_first_failure_is_tried_again_at_once_and_later_ones_after_growing_pauses() -> None:
    streak = Streak()
    pauses = []
    for _ in range(1_200):
        streak.fail(1)
        pauses.append(streak.failures.pause_seconds)

    assert pauses[0] == 0
    assert pauses[1] > 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
