"""A failure streak is lasting only if it has many failures over a long time."""

from sensorwatch.consumer.failure_streak import LONGEST_PAUSE_SECONDS, MIN_FAILURES, FailureStreak


class StreakRig:
    """A failure streak with a fake clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.failures = FailureStreak(seconds=30.0, clock=lambda: self.now)

    def add_failures(self, count: int, *, seconds_apart: float = 0.0) -> bool:
        for _ in range(count):
            self.failures.add()
            self.now += seconds_apart
        return self.failures.is_lasting


def test_many_failures_in_a_short_time_are_not_lasting() -> None:
    assert not StreakRig().add_failures(100)


def test_a_few_failures_are_not_lasting_even_after_a_long_time() -> None:
    assert not StreakRig().add_failures(MIN_FAILURES - 1, seconds_apart=100.0)


def test_many_failures_over_a_long_time_are_lasting() -> None:
    assert StreakRig().add_failures(MIN_FAILURES, seconds_apart=10.0)


def test_a_commit_ends_the_streak() -> None:
    rig = StreakRig()
    rig.add_failures(MIN_FAILURES, seconds_apart=10.0)

    rig.failures.end()

    assert not rig.add_failures(MIN_FAILURES)


def test_the_first_failure_has_no_pause_and_later_pauses_grow_to_a_limit() -> None:
    rig = StreakRig()
    pause_lengths = []
    for _ in range(1_200):
        rig.add_failures(1)
        pause_lengths.append(rig.failures.pause_seconds)

    assert pause_lengths[0] == 0
    assert pause_lengths[1] > 0
    assert pause_lengths == sorted(pause_lengths)
    assert pause_lengths[-1] == LONGEST_PAUSE_SECONDS
