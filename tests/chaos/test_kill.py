"""Workers that are killed, frozen or stopped under load lose and double no record."""

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

KILLS = 20


def test_kill_9_at_random_times_loses_and_doubles_no_record(kafka: Kafka, tmp_path: Path) -> None:
    """After 20 kills of 2 workers, `ledger verify` confirms every outcome and every memory."""
    rng = random.Random(3)
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        workers = [chaos_cluster.start_worker(number) for number in (0, 1)]
        chaos_cluster.expect_progress()
        for kill_number in range(KILLS):
            number = kill_number % 2
            # A kill happens during the start of a worker or in normal operation.
            pause = rng.uniform(0.2, 3.6)
            wait_seconds(pause)
            workers[number].kill()
            workers[number] = chaos_cluster.start_worker(number)
        chaos_cluster.expect_progress()
    chaos_cluster.verify()


def test_a_frozen_worker_that_wakes_up_commits_no_old_record(kafka: Kafka, tmp_path: Path) -> None:
    """A worker is frozen until another worker has its partitions; then the worker continues."""
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
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
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            assert worker.terminate(deadline=5) == 0
            worker = chaos_cluster.start_worker(0)
            # The next worker gets the partitions before the session would time out.
            chaos_cluster.expect_progress(1_000, deadline=30)


def test_workers_that_join_and_leave_lose_no_record(kafka: Kafka, tmp_path: Path) -> None:
    """The memory has room for few sensors, and evictions do not depend on the worker."""
    small_memory = {"SENSORWATCH__CONSUMER__MAX_SENSORS": "6"}
    with (
        ChaosCluster(kafka, tmp_path, settings=small_memory) as chaos_cluster,
        chaos_cluster.load(),
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
    chaos_cluster.verify()


def evicted_sensors(log: Path) -> float:
    """Return the worker's number of evicted sensors."""
    address = re.search(r"health=(\S+)", log.read_text())
    assert address is not None
    with urllib.request.urlopen(f"{address[1]}/metrics", timeout=5) as response:
        metrics = response.read().decode()
    sample = re.search(r"^sensorwatch_sensors_evicted_total (\S+)$", metrics, re.MULTILINE)
    assert sample is not None
    return float(sample[1])


def wait_seconds(seconds: float) -> None:
    """Wait for `seconds` while the run continues."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, deadline=seconds + 5, what="time to pass")
