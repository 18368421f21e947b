"""Aggregates of scored rows can be merged, and the merge does not depend on the cuts."""

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.scoring.score_aggregates import merge_aggregates, merge_by_time
from tests.scoring.plain_aggregates import (
    NO_BAND,
    ScoredRow,
    assert_same_aggregates,
    plain_aggregates,
)

MINUTE_US = 60_000_000


def random_rows(count: int, *, seed: int) -> list[ScoredRow]:
    """Return rows of four sensors, of which some have missing values and equal scores."""
    generator = random.Random(seed)
    return [
        ScoredRow(
            sensor_id=f"s{generator.randrange(4)}",
            time=offset * 10_000_000,
            offset=offset,
            score=generator.choice([-0.5, 0.25, 1.0, 7.5]),
            severity=generator.choice([0, 0, 0, 2]),
            values=(generator.choice([math.nan, generator.gauss(5, 2)]), generator.random()),
            bands=((generator.random(), -1.0, generator.random() + 2.0), NO_BAND),
        )
        for offset in range(count)
    ]


def divide(rows: Sequence[ScoredRow], cuts: Sequence[int]) -> list[Sequence[ScoredRow]]:
    """Return the rows divided before each of `cuts`, without empty parts."""
    ends = sorted({*cuts, len(rows)})
    return [rows[begin:end] for begin, end in zip([0, *ends], ends, strict=False) if begin < end]


@given(st.integers(1, 60), st.integers(0, 2**32), st.lists(st.integers(1, 59), max_size=12))
def test_the_merge_of_any_parts_has_the_aggregates_of_all_rows(
    count: int, seed: int, cuts: list[int]
) -> None:
    rows = random_rows(count, seed=seed)
    parts = [plain_aggregates(part) for part in divide(rows, [cut for cut in cuts if cut < count])]

    merged = merge_aggregates(parts)

    assert_same_aggregates(merged, plain_aggregates(rows))


def test_a_merge_of_merges_is_the_same() -> None:
    rows = random_rows(90, seed=1)
    parts = [plain_aggregates(part) for part in divide(rows, [10, 11, 40, 70])]

    merged = merge_aggregates([merge_aggregates(parts[3:]), merge_aggregates(parts[:2]), parts[2]])

    assert_same_aggregates(merged, plain_aggregates(rows))


def test_a_merge_by_time_has_the_aggregates_of_the_rows_of_each_minute() -> None:
    rows = random_rows(60, seed=2)
    parts = [plain_aggregates([row]) for row in rows]

    merged = merge_by_time(parts, MINUTE_US)

    assert list(merged) == [minute * MINUTE_US for minute in range(10)]
    for begin, aggregates in merged.items():
        rows_of_minute = [row for row in rows if begin <= row.time < begin + MINUTE_US]
        assert_same_aggregates(aggregates, plain_aggregates(rows_of_minute))


def test_the_worst_row_is_the_oldest_of_those_with_the_highest_score() -> None:
    rows = [ScoredRow(time=time, score=score) for time, score in ((5, 1.0), (2, 3.0), (4, 3.0))]

    merged = merge_aggregates([plain_aggregates([row]) for row in reversed(rows)])

    assert (merged.worst_score.tolist(), merged.worst_time.tolist()) == ([3.0], [2])


def test_parts_of_models_with_different_signals_can_be_merged() -> None:
    old, new = ScoredRow(values=(1.0, 2.0)), ScoredRow(values=(3.0, 4.0))

    merged = merge_aggregates(
        [
            plain_aggregates([old], signal_names=("flow", "power")),
            plain_aggregates([new], signal_names=("power", "heat")),
        ]
    )

    assert merged.signal_names == ("flow", "power", "heat")
    assert merged.values.tolist() == [[1, 2, 1]]
    assert merged.mean.tolist() == [[1.0, 2.5, 4.0]]
    assert merged.maximum.tolist() == [[1.0, 3.0, 4.0]]


def test_no_parts_have_no_sensors() -> None:
    assert len(merge_aggregates([])) == 0
    assert merge_by_time([], MINUTE_US) == {}


@pytest.mark.parametrize("time", [-1, -MINUTE_US])
def test_a_time_before_1970_belongs_to_the_minute_that_begins_before_it(time: int) -> None:
    aggregates = plain_aggregates([replace(ScoredRow(), time=time)])

    assert list(merge_by_time([aggregates], MINUTE_US)) == [-MINUTE_US]
