"""Batches are sent at the requested rate, even if sending takes time."""

from dataclasses import dataclass, field

import pytest

from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited


@dataclass
class FakeClock:
    """A fake clock; its time changes only if `sleep` is called or a test sets `now`."""

    now: float = 100.0
    pauses: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def test_the_rate_determines_the_duration() -> None:
    fake_clock = FakeClock()

    for _ in rate_limited(
        batched(range(500), 10), 100.0, clock=fake_clock.clock, sleep=fake_clock.sleep
    ):
        fake_clock.now += 0.03

    assert fake_clock.now - 100 == pytest.approx(5.0)
    assert fake_clock.pauses == pytest.approx([0.07] * 50)


def test_after_a_short_delay_the_mean_rate_is_restored() -> None:
    fake_clock = FakeClock()

    for batch in rate_limited(
        batched(range(300), 10), 100.0, clock=fake_clock.clock, sleep=fake_clock.sleep
    ):
        fake_clock.now += 0.5 if batch[0] == 100 else 0.0

    assert fake_clock.now - 100 == pytest.approx(3.0)


def test_a_long_delay_is_not_followed_by_a_burst() -> None:
    fake_clock = FakeClock()

    for batch in rate_limited(
        batched(range(300), 10), 100.0, clock=fake_clock.clock, sleep=fake_clock.sleep
    ):
        fake_clock.now += 60 if batch[0] == 100 else 0.0

    assert fake_clock.now - 100 == pytest.approx(1.0 + 60 + 1.9)


def test_without_a_rate_limit_there_is_no_pause() -> None:
    fake_clock = FakeClock()

    assert list(rate_limited([[1], [2]], None, clock=fake_clock.clock, sleep=fake_clock.sleep)) == [
        [1],
        [2],
    ]
    assert fake_clock.pauses == []


def test_batches_contain_every_row_in_order() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []


def test_the_batch_size_depends_on_the_rate() -> None:
    assert [batch_rows(rate) for rate in (0.5, 20, 1_000, 1e9)] == [1, 1, 50, 2_000]
    assert batch_rows(None) == 2_000
