"""Several threads compute the same bits as one, report errors and end with their executor."""

import threading
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.model.forest import forest_from_sklearn, score
from sensorwatch.common.row_executor import RowExecutor, RowRangeWork, run_serially
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer import threads
from sensorwatch.consumer.threads import ThreadedRowExecutor
from tests.consumer.rig import THREE_PAYLOADS, LoopRig, batch_steps
from tests.kafka.record_builders import a_payload
from tests.reading_builders import ANOMALOUS_VALUES
from tests.scoring.detectors import DETECTORS


@pytest.fixture(autouse=True)
def small_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make each task one row, so that small tests use all threads."""
    monkeypatch.setattr(threads, "TASK_ROWS", 1)


def some_payloads(seed: int, count: int) -> list[bytes | None]:
    """Return payloads of four sensors; three in ten are invalid or unusual."""
    rng = np.random.default_rng(seed)
    unusual_payloads = [
        None,
        b"",
        b"{",
        b'{"a": 1}',
        a_payload(ANOMALOUS_VALUES),
        a_payload(x1=None),
        b"[]",
    ]
    return [
        unusual_payloads[rng.integers(len(unusual_payloads))]
        if rng.random() < 0.3
        else a_payload(
            rng.normal(size=3).round(rng.integers(17)).tolist(),
            sensor_id=f"s{rng.integers(4)}",
            timestamp=f"2025-01-01T00:{number // 60 % 60:02d}:{number % 60:02d}Z",
        )
        for number in range(count)
    ]


def result_bytes(
    payloads: Sequence[bytes | None], detector: Detector, row_executor: RowExecutor
) -> tuple[object, ...]:
    """Process the payloads; return all results and the content of the memory as bytes."""
    memory = detector.empty_memory()
    outcome = process(payloads, detector, memory, row_executor=row_executor)
    readings = outcome.readings
    return (
        outcome.kinds.tobytes(),
        outcome.score_bits.tobytes(),
        [(rejection.index, rejection.faults) for rejection in outcome.rejections],
        readings.index.tobytes(),
        readings.event_time.tobytes(),
        readings.sensor.tobytes(),
        readings.sensor_ids,
        readings.values.tobytes(),
        memory.floats.tobytes(),
        memory.ints.tobytes(),
    )


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32), count=st.integers(0, 120), chunk_ends=st.lists(st.integers(0, 120))
)
@pytest.mark.parametrize("kind", DETECTORS)
def test_results_do_not_depend_on_the_row_ranges_or_their_order(
    kind: str, seed: int, count: int, chunk_ends: list[int]
) -> None:
    def run_row_ranges(process_range: RowRangeWork, rows: int) -> None:
        range_ends = sorted({0, rows, *(end for end in chunk_ends if end < rows)})
        for begin, end in reversed(list(pairwise(range_ends))):
            process_range(begin, end)

    payloads, detector = some_payloads(seed, count), DETECTORS[kind]()

    assert result_bytes(payloads, detector, run_row_ranges) == result_bytes(
        payloads, detector, run_serially
    )


@pytest.mark.parametrize("kind", DETECTORS)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_threads_compute_the_same_bits_as_one_thread(
    kind: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(threads, "TASK_ROWS", 70)
    payloads, detector = some_payloads(count, 6_000), DETECTORS[kind]()

    with ThreadedRowExecutor(count) as row_executor:
        assert result_bytes(payloads, detector, row_executor) == result_bytes(
            payloads, detector, run_serially
        )


def test_a_forest_too_deep_for_the_heap_layout_runs_in_threads() -> None:
    from sklearn.ensemble import IsolationForest

    rows = np.random.default_rng(1).normal(size=(1_000, 3))
    deep_forest = IsolationForest(n_estimators=7, max_samples=1_000, random_state=0).fit(rows)
    forest = forest_from_sklearn(deep_forest)
    assert forest.heap is None

    with ThreadedRowExecutor(3) as row_executor:
        assert (
            score(forest, rows, row_executor=row_executor).tobytes()
            == score(forest, rows).tobytes()
        )


@given(rows=st.integers(0, 500), count=st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_each_row_is_processed_once(rows: int, count: int) -> None:
    call_counts = np.zeros(rows, dtype=np.int64)

    def process_range(begin: int, end: int) -> None:
        call_counts[begin:end] += 1

    with ThreadedRowExecutor(count) as row_executor:
        row_executor(process_range, rows)

    assert call_counts.tolist() == [1] * rows


def test_row_ranges_run_at_the_same_time() -> None:
    """Each of two calls waits for the other, so both must run at the same time."""
    barrier = threading.Barrier(2, timeout=20)

    def process_range(_begin: int, _end: int) -> None:
        barrier.wait()

    with ThreadedRowExecutor(2) as row_executor:
        row_executor(process_range, 2)


def test_few_rows_are_one_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "TASK_ROWS", 100)
    row_ranges: list[tuple[int, int]] = []

    with ThreadedRowExecutor(2) as row_executor:
        for rows in (0, 100, 101):
            row_executor(lambda begin, end: row_ranges.append((begin, end)), rows)

    assert sorted(row_ranges) == [(0, 0), (0, 100), (0, 100), (100, 101)]


@pytest.mark.parametrize("failing_row", [0, 1, 2])
def test_an_error_is_raised_after_all_threads_have_ended(failing_row: int) -> None:
    started_rows: list[int] = []
    ended_rows: list[int] = []
    has_failed = threading.Event()

    def process_range(begin: int, _end: int) -> None:
        if begin == failing_row:
            has_failed.set()
            raise ValueError(f"row {begin}")
        started_rows.append(begin)
        assert has_failed.wait(20)
        ended_rows.append(begin)

    with ThreadedRowExecutor(3) as row_executor:
        with pytest.raises(ValueError, match=f"row {failing_row}"):
            row_executor(process_range, 3)
        assert sorted(ended_rows) == sorted(started_rows)

        rows: list[int] = []
        row_executor(lambda begin, _end: rows.append(begin), 3)
    assert sorted(rows) == [0, 1, 2]


def test_the_executor_does_not_wait_for_a_thread_that_has_not_started() -> None:
    """If the executor's thread is busy, the calling thread runs all tasks."""
    release_event = threading.Event()

    with ThreadedRowExecutor(2) as row_executor:
        row_executor._pool.submit(release_event.wait, 20)
        processed_rows: list[int] = []
        row_executor(lambda begin, _end: processed_rows.append(begin), 5)
        assert processed_rows == [0, 1, 2, 3, 4]
        release_event.set()


def test_the_threads_end_with_the_executor() -> None:
    with ThreadedRowExecutor(3) as row_executor:
        row_executor(lambda _begin, _end: None, 3)
        assert _row_thread_names()
    assert not _row_thread_names()


def _row_thread_names() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rows")]


def test_the_loop_uses_its_row_executor() -> None:
    row_counts: list[int] = []

    def row_executor(process_range: RowRangeWork, rows: int) -> None:
        row_counts.append(rows)
        run_serially(process_range, rows)

    rig = LoopRig(*batch_steps(*THREE_PAYLOADS, *THREE_PAYLOADS)).with_opened_account()
    rig.row_executor = row_executor

    rig.run()

    # 6 payloads are parsed and 4 valid rows are scored. Then 2 anomalous rows are attributed, and
    # the floats, integers and JSON of their events are written.
    assert row_counts == [6, 4, 2, 2, 2, 2]
