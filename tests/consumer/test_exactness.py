"""Crashes, rebalances and failed commits do not change any result."""

import json
from functools import cache
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import Unrecoverable
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.silence_rule import SilenceRule
from tests.consumer.group_state import (
    PARTITION_COUNT,
    SCORES_TOPIC,
    GroupState,
    KilledError,
)
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES
from tests.scoring.plain_aggregates import assert_same_aggregates

INPUT_ROW_COUNT = 120
SILENCE_RULE = SilenceRule(check_seconds=120, after_seconds=400)
"""With this rule, silences begin and end in the input of these tests."""


def an_input(rows: int = INPUT_ROW_COUNT) -> list[StoredRecord]:
    """Return records of three sensors.

    Some rows are late, duplicate, anomalous or invalid, and some follow a gap.
    """
    rng = np.random.default_rng(5)
    next_offset = [0] * PARTITION_COUNT
    records = []
    for row_number in range(rows):
        partition = int(rng.integers(PARTITION_COUNT))
        sensor = f"pump-{rng.integers(3)}"
        minute = row_number - int(rng.choice([0, 0, 0, 0, 1, 7]))
        hour = 1 + 5 * (row_number >= 80)
        time = f"2024-12-31T{hour + max(minute, 0) // 60:02}:{max(minute, 0) % 60:02}:00Z"
        values = (
            ANOMALOUS_VALUES if row_number % 40 in range(7, 21) else rng.normal(size=3).tolist()
        )
        value = a_payload(values, sensor_id=sensor, timestamp=time)
        value = b"{" if row_number % 31 == 30 else value
        # Some offsets have no record, as if transaction markers used them.
        offset = next_offset[partition] + int(rng.integers(3) == 0)
        next_offset[partition] = offset + 1
        records.append(StoredRecord(value, offset, partition))
    return records


def run_without_failures(
    max_sensors: int = 1_000,
    emit: EmittedEvents = EmittedEvents.ROWS,
    scores_topic: str | None = SCORES_TOPIC,
) -> GroupState:
    group_state = GroupState(an_input())
    group_state.run_worker(
        max_sensors=max_sensors, silence_rule=SILENCE_RULE, emit=emit, scores_topic=scores_topic
    )
    return group_state


def run_with_failures(seed: int, max_sensors: int = 1_000) -> GroupState:
    """Run workers, some of which are killed, until all records are consumed.

    The seed determines all failures.
    """
    rng, group_state = Random(seed), GroupState(an_input())
    while not group_state.all_consumed():
        assert group_state.worker_runs < 200, "200 workers did not consume all records"
        try:
            group_state.run_worker(
                rng,
                snapshot_every_rows=rng.randint(1, 60),
                max_sensors=max_sensors,
                silence_rule=SILENCE_RULE,
                scores_topic=SCORES_TOPIC,
            )
        except (KilledError, Unrecoverable):
            continue
    return group_state


expected_state = cache(run_without_failures)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), max_sensors=st.sampled_from([1_000, 2]))
def test_batch_boundaries_aborts_rebalances_and_crashes_change_no_result(
    seed: int, max_sensors: int
) -> None:
    """With `max_sensors` 2 and three sensors, nearly every row evicts a sensor."""
    expected_group, group_state = expected_state(max_sensors), run_with_failures(seed, max_sensors)

    for partition_number in range(PARTITION_COUNT):
        assert group_state.results(partition_number) == expected_group.results(partition_number)
        account, expected_account = (
            group_state.accounts()[partition_number],
            expected_group.accounts()[partition_number],
        )
        assert (account.digest, account.consumed) == (
            expected_account.digest,
            expected_account.consumed,
        )
        assert (account.normal, account.anomalies) == (
            expected_account.normal,
            expected_account.anomalies,
        )
        aggregates = group_state.score_aggregates(partition_number)
        assert_same_aggregates(aggregates, expected_group.score_aggregates(partition_number))
        assert aggregates.rows.sum() == account.rows


def test_the_input_has_late_and_duplicate_rows_and_long_episodes_and_silences() -> None:
    group_state = expected_state(1_000)

    values = b"".join(
        value or b"" for n in range(PARTITION_COUNT) for _, _, value in group_state.results(n)
    )
    for fragment in (b'"status":"late"', b'"status":"duplicate"', b'"rows":2', b'"rows":3'):
        assert fragment in values
    assert values.count(b'-silent-0","silent_since"') > 2
    assert values.count(b"has sent no row for 8 min") > 2


def test_max_sensors_can_change_and_changes_the_episodes() -> None:
    def event_messages(group_state: GroupState) -> list[tuple[bytes | None, bytes | None]]:
        return [
            (key, value) for n in range(PARTITION_COUNT) for _, key, value in group_state.results(n)
        ]

    few_sensors_group, many_sensors_group, changing_group = (
        expected_state(2),
        expected_state(1_000),
        GroupState([]),
    )
    for rows, max_sensors in ((50, 2), (80, 1_000), (INPUT_ROW_COUNT, 2)):
        changing_group.input_records = an_input()[:rows]
        changing_group.run_worker(max_sensors=max_sensors, silence_rule=SILENCE_RULE)

    assert event_messages(few_sensors_group) != event_messages(many_sensors_group)
    assert changing_group.all_consumed()
    assert [account.max_sensors for account in changing_group.accounts().values()] == [2, 2]
    middle_accounts = [
        record.account for record in changing_group.ledger() if record.account.max_sensors == 1_000
    ]
    assert {account.next_offset for account in middle_accounts if account.snapshot}


def test_the_emit_setting_changes_no_account() -> None:
    """`emit = "episodes"` omits only the events of rows after the first row of an episode."""
    rows_group, episodes_group = (
        expected_state(1_000),
        run_without_failures(emit=EmittedEvents.EPISODES),
    )

    assert episodes_group.accounts() == rows_group.accounts()
    assert episodes_group.ledger() == rows_group.ledger()
    for partition_number in range(PARTITION_COUNT):
        without_later_rows = [
            result for result in rows_group.results(partition_number) if not is_later_row(*result)
        ]
        assert episodes_group.results(partition_number) == without_later_rows
        assert len(without_later_rows) < len(rows_group.results(partition_number))


def test_score_records_change_no_account_and_no_event() -> None:
    with_scores, without_scores = expected_state(1_000), run_without_failures(scores_topic=None)

    assert with_scores.accounts() == without_scores.accounts()
    assert with_scores.ledger() == without_scores.ledger()
    for partition_number in range(PARTITION_COUNT):
        assert with_scores.results(partition_number) == without_scores.results(partition_number)
        assert len(with_scores.score_aggregates(partition_number)) == 3
        assert len(without_scores.score_aggregates(partition_number)) == 0


def is_later_row(topic: str, _key: bytes | None, value: bytes | None) -> bool:
    """Return True for the event of a row that is not the first row of its episode."""
    event = json.loads(value or b"") if topic == "anomalies" else {}
    is_row = "anomaly_score" in event and "previous_severity" not in event
    return is_row and event["episode"]["rows"] > 1
