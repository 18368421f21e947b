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
    """20 kills of 2 workers under load; every memory equals the undisturbed one."""
    rng = random.Random(3)
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        workers = [chaos_cluster.worker(number) for number in (0, 1)]
        chaos_cluster.expect_progress()
        for kill in range(KILLS):
            number = kill % 2
            # The times range from the start of a worker to normal operation.
            pause = rng.uniform(0.2, 3.6)
            wait_until_later(pause)
            workers[number].kill9()
            workers[number] = chaos_cluster.worker(number)
        chaos_cluster.expect_progress()
    chaos_cluster.verify()


def test_a_frozen_worker_that_wakes_up_commits_no_old_record(kafka: Kafka, tmp_path: Path) -> None:
    """SIGSTOP for longer than the session; another worker takes over; SIGCONT."""
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        frozen, other = chaos_cluster.worker(0), chaos_cluster.worker(1)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            frozen.freeze()
            # The other worker has taken over when records of all partitions are committed.
            chaos_cluster.expect_progress(500)
            chaos_cluster.expect_progress_everywhere()
            frozen.thaw()
            chaos_cluster.expect_progress(2_000)
        assert other.running


def test_sigterm_commits_the_micro_batch_and_leaves_the_group(kafka: Kafka, tmp_path: Path) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            assert worker.terminate(deadline=5) == 0
            worker = chaos_cluster.worker(0)
            # The next worker gets the partitions before the session would time out.
            chaos_cluster.expect_progress(1_000, deadline=30)


def test_workers_that_join_and_leave_lose_no_record(kafka: Kafka, tmp_path: Path) -> None:
    """With fewer places in the memory than sensors: evictions do not depend on the worker."""
    few = {"SENSORWATCH__CONSUMER__MAX_SENSORS": "6"}
    with ChaosCluster(kafka, tmp_path, settings=few) as chaos_cluster, chaos_cluster.load():
        first = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(2):
            second = chaos_cluster.worker(1)
            wait_until(
                lambda: "partitions assigned" in (tmp_path / "worker-1.log").read_text(),
                deadline=60,
                what="the second worker to get partitions",
            )
            chaos_cluster.expect_progress(2_000)
            assert second.terminate(deadline=10) == 0
            (tmp_path / "worker-1.log").unlink()
            chaos_cluster.expect_progress(2_000)
        assert first.running
        assert evicted(tmp_path / "worker-0.log") > 0
    chaos_cluster.verify()


def evicted(log: Path) -> float:
    """Return the worker's number of evicted sensors."""
    address = re.search(r"health=(\S+)", log.read_text())
    assert address is not None
    with urllib.request.urlopen(f"{address[1]}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    sample = re.search(r"^sensorwatch_sensors_evicted_total (\S+)$", metrics, re.MULTILINE)
    assert sample is not None
    return float(sample[1])


def wait_until_later(seconds: float) -> None:
    """Wait for `seconds` while the run continues."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, deadline=seconds + 5, what="time to pass")
