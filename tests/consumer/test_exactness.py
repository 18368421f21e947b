"""Whatever happens to the workers, the results are those of one that nothing happened to."""

from functools import cache
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from common.errors import Unrecoverable
from tests.builders import ANOMALOUS
from tests.consumer.world import PARTITIONS, KilledError, World
from tests.messaging.records import StoredRecord, a_payload

ROWS = 120


def an_input(rows: int = ROWS) -> list[StoredRecord]:
    """Rows of a few sensors: late, doubled, after gaps, anomalous for a while, and broken ones."""
    random = np.random.default_rng(5)
    next_offset = [0] * PARTITIONS
    found = []
    for number in range(rows):
        partition = int(random.integers(PARTITIONS))
        sensor = f"pump-{random.integers(3)}"
        minute = number - int(random.choice([0, 0, 0, 0, 1, 7]))
        hour = 1 + 5 * (number >= 80)
        time = f"2024-12-31T{hour + max(minute, 0) // 60:02}:{max(minute, 0) % 60:02}:00Z"
        values = ANOMALOUS if number % 40 in range(7, 21) else random.normal(size=3).tolist()
        value = a_payload(values, sensor_id=sensor, timestamp=time)
        value = b"{" if number % 31 == 30 else value
        # Markers of transactions and what was aborted take offsets too.
        offset = next_offset[partition] + int(random.integers(3) == 0)
        next_offset[partition] = offset + 1
        found.append(StoredRecord(value, offset, partition))
    return found


def undisturbed() -> World:
    world = World(an_input())
    world.live()
    return world


def lived(seed: int) -> World:
    """Let workers live and die until all is consumed; everything follows from the seed."""
    chance, world = Random(seed), World(an_input())
    while not world.done():
        assert world.lives < 200, "it never comes to an end"
        try:
            world.live(chance, snapshot_every_rows=chance.randint(1, 60))
        except (KilledError, Unrecoverable):
            continue
    return world


WANTED = cache(undisturbed)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_cuts_aborts_rebalances_and_deaths_change_no_bit(seed: int) -> None:
    wanted, world = WANTED(), lived(seed)

    for number in range(PARTITIONS):
        assert world.results(number) == wanted.results(number)
        found, told = world.accounts()[number], wanted.accounts()[number]
        assert (found.digest, found.consumed) == (told.digest, told.consumed)
        assert (found.normal, found.anomalies) == (told.normal, told.anomalies)


def test_the_input_of_these_tests_has_what_a_memory_can_get_wrong() -> None:
    world = WANTED()

    values = b"".join(value or b"" for n in range(PARTITIONS) for _, _, value in world.results(n))
    for part in (b'"status":"late"', b'"status":"duplicate"', b'"rows":2', b'"rows":3'):
        assert part in values
