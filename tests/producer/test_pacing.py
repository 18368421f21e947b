"""Rows leave at the asked rate, whatever sending takes."""

from dataclasses import dataclass, field

import pytest

from sensorwatch.producer.rate_limiting import batch_rows, batched, rate_limited


@dataclass
class FakeClock:
    """A clock that only moves when somebody sleeps or works."""

    now: float = 100.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


def test_so_many_rows_take_so_many_seconds() -> None:
    time = FakeClock()

    for _ in rate_limited(batched(range(500), 10), 100.0, clock=time.clock, sleep=time.sleep):
        time.now += 0.03

    assert time.now - 100 == pytest.approx(5.0)
    assert time.slept == pytest.approx([0.07] * 50)


def test_a_short_stall_is_made_up_for() -> None:
    time = FakeClock()

    for batch in rate_limited(batched(range(300), 10), 100.0, clock=time.clock, sleep=time.sleep):
        time.now += 0.5 if batch[0] == 100 else 0.0

    assert time.now - 100 == pytest.approx(3.0)


def test_a_long_stall_is_not_followed_by_a_burst() -> None:
    time = FakeClock()

    for batch in rate_limited(batched(range(300), 10), 100.0, clock=time.clock, sleep=time.sleep):
        time.now += 60 if batch[0] == 100 else 0.0

    assert time.now - 100 == pytest.approx(1.0 + 60 + 1.9)


def test_as_fast_as_possible_never_sleeps() -> None:
    time = FakeClock()

    assert list(rate_limited([[1], [2]], None, clock=time.clock, sleep=time.sleep)) == [[1], [2]]
    assert time.slept == []


def test_a_stream_is_cut_into_batches_without_losing_a_row() -> None:
    assert list(batched(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(batched([], 3)) == []


def test_batches_are_small_enough_to_be_steady() -> None:
    assert [batch_rows(rate) for rate in (0.5, 20, 1_000, 1e9)] == [1, 1, 50, 2_000]
    assert batch_rows(None) == 2_000
