"""A failure streak is lasting only if it has many failures over a long time."""

from sensorwatch.consumer.failure_streak import LONGEST_PAUSE_SECONDS, MIN_FAILURES, FailureStreak


class Streak:
    """A failure streak with a clock that the test advances."""

    def __init__(self) -> None:
        self.now = 100.0
        self.failures = FailureStreak(seconds=30.0, clock=lambda: self.now)

    def fail(self, count: int, *, seconds_apart: float = 0.0) -> bool:
        for _ in range(count):
            self.failures.add()
            self.now += seconds_apart
        return self.failures.is_lasting


def test_many_failures_in_a_short_time_are_not_lasting() -> None:
    assert not Streak().fail(100)


def test_a_few_failures_are_not_lasting_even_after_a_long_time() -> None:
    assert not Streak().fail(MIN_FAILURES - 1, seconds_apart=100.0)


def test_many_failures_over_a_long_time_are_lasting() -> None:
    assert Streak().fail(MIN_FAILURES, seconds_apart=10.0)


def test_a_commit_ends_the_streak() -> None:
    streak = Streak()
    streak.fail(MIN_FAILURES, seconds_apart=10.0)

    streak.failures.end()

    assert not streak.fail(MIN_FAILURES)


def test_the_first_failure_has_no_pause_and_later_pauses_grow_to_a_limit() -> None:
    streak = Streak()
    pauses = []
    for _ in range(1_200):
        streak.fail(1)
        pauses.append(streak.failures.pause_seconds)

    assert pauses[0] == 0
    assert pauses[1] > 0
    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_SECONDS
