"""Workers that are killed, frozen or stopped under load neither lose nor double a record."""

import random
import re
import time
import urllib.request
from pathlib import Path

import pytest

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.chaos.chaos_cluster import ChaosCluster

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(600)]

KILL_COUNT = 20


def test_kill_9_at_random_times_loses_and_doubles_no_record(kafka: Kafka, tmp_path: Path) -> None:
    """After 20 kills of 2 workers, `ledger verify` confirms every outcome and every memory."""
    rng = random.Random(3)
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        workers = [chaos_cluster.start_worker(worker_number) for worker_number in (0, 1)]
        chaos_cluster.expect_progress()
        for kill_number in range(KILL_COUNT):
            worker_number = kill_number % 2
            # A short pause ends while the worker starts, a long pause while it processes rows.
            pause_seconds = rng.uniform(0.2, 3.6)
            wait_seconds(pause_seconds)
            workers[worker_number].kill()
            workers[worker_number] = chaos_cluster.start_worker(worker_number)
        chaos_cluster.expect_progress()
    chaos_cluster.verify_ledger()


def test_a_frozen_worker_that_wakes_up_commits_no_old_record(kafka: Kafka, tmp_path: Path) -> None:
    """A worker is frozen, loses its partitions to another worker, and then continues."""
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        frozen_worker, other_worker = chaos_cluster.start_worker(0), chaos_cluster.start_worker(1)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            frozen_worker.freeze()
            # If records of all partitions are committed, the other worker has taken over.
            chaos_cluster.expect_progress(500)
            chaos_cluster.expect_progress_of_all_partitions()
            frozen_worker.thaw()
            chaos_cluster.expect_progress(2_000)
        assert other_worker.running


def test_sigterm_commits_the_micro_batch_and_leaves_the_group(kafka: Kafka, tmp_path: Path) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            assert worker.terminate(deadline=5) == 0
            worker = chaos_cluster.start_worker(0)
            # The next worker gets the partitions at once, without waiting for a session timeout.
            chaos_cluster.expect_progress(1_000, deadline=30)


def test_workers_that_join_and_leave_lose_no_record(kafka: Kafka, tmp_path: Path) -> None:
    """The memory has room for few sensors; each worker evicts the same sensors."""
    small_memory = {"SENSORWATCH__CONSUMER__MAX_SENSORS": "6"}
    with (
        ChaosCluster(kafka, tmp_path, settings=small_memory) as chaos_cluster,
        chaos_cluster.running_load(),
    ):
        first_worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(2):
            second_worker = chaos_cluster.start_worker(1)
            wait_until(
                lambda: "partitions assigned" in (tmp_path / "worker-1.log").read_text(),
                deadline=60,
                what="the second worker to get partitions",
            )
            chaos_cluster.expect_progress(2_000)
            assert second_worker.terminate(deadline=10) == 0
            (tmp_path / "worker-1.log").unlink()
            chaos_cluster.expect_progress(2_000)
        assert first_worker.running
        assert evicted_sensors(tmp_path / "worker-0.log") > 0
    chaos_cluster.verify_ledger()


def evicted_sensors(log: Path) -> float:
    """Return the number of sensors that the worker has evicted, from its metrics."""
    address_match = re.search(r"health=(\S+)", log.read_text())
    assert address_match is not None
    with urllib.request.urlopen(f"{address_match[1]}/metrics", timeout=5) as response:
        metrics = response.read().decode()
    sample_match = re.search(r"^sensorwatch_sensors_evicted_total (\S+)$", metrics, re.MULTILINE)
    assert sample_match is not None
    return float(sample_match[1])


def wait_seconds(seconds: float) -> None:
    """Wait for `seconds` while the run continues."""
    end_time = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end_time, deadline=seconds + 5, what="time to pass")
