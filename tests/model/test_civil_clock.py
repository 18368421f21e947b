"""Civil time includes the zone's changes of daylight saving; a model stores them as a table."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.civil_clock import UTC_CLOCK, civil_clock, clock_from_arrays
from sensorwatch.common.rows.zones import load_zone

SECOND = 1_000_000
HOUR = 3_600 * SECOND


def microseconds(*date: int) -> int:
    return int(datetime(*date, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    ("change", "hours_before", "hours_after"),
    [(microseconds(2025, 10, 26, 1), 2, 1), (microseconds(2026, 3, 29, 1), 1, 2)],
)
def test_the_offset_changes_at_the_instant_of_the_zone(
    change: int, hours_before: int, hours_after: int
) -> None:
    times = np.asarray([change - 1, change])

    local = civil_clock("Europe/Berlin").local_time(times)

    assert ((local - times) // HOUR).tolist() == [hours_before, hours_after]


@pytest.mark.parametrize(
    "zone", ["Europe/Berlin", "America/St_Johns", "Asia/Kolkata", "Africa/Casablanca", "UTC"]
)
def test_local_times_are_those_of_the_zone_rules(zone: str) -> None:
    seconds = np.random.default_rng(3).integers(0, 4_000_000_000, 300)

    local = civil_clock(zone).local_time(seconds * SECOND)

    expected = [
        datetime.fromtimestamp(second, load_zone(zone)).replace(tzinfo=UTC).timestamp()
        for second in seconds.tolist()
    ]
    assert (local // SECOND).tolist() == expected


def test_a_clock_is_restored_from_its_arrays() -> None:
    clock = civil_clock("Europe/Berlin")
    times = np.arange(0, 4_000_000_000, 1_000_003) * SECOND

    restored = clock_from_arrays(clock.arrays())

    np.testing.assert_array_equal(restored.local_time(times), clock.local_time(times))


def test_utc_stores_no_table() -> None:
    assert civil_clock("UTC").arrays() == {}
    assert clock_from_arrays({}) is UTC_CLOCK


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("season_clock_changes", np.asarray([5, 5])),
        ("season_clock_offsets", np.asarray([0, 1])),
        ("season_clock_offsets", np.asarray([0, 10**15, 0])),
    ],
)
def test_a_wrong_table_is_refused_by_its_name(name: str, array: NDArray[Any]) -> None:
    arrays = {"season_clock_changes": np.asarray([5, 9]), "season_clock_offsets": np.zeros(3, int)}

    with pytest.raises(ModelRefused, match=f'the array "{name}" '):
        clock_from_arrays(arrays | {name: array})
