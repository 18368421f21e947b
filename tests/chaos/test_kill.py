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


def test_kill_9_at_random_points_loses_and_doubles_nothing(kafka: Kafka, tmp_path: Path) -> None:
    """20 times, 2 workers, 4 partitions, under load: and every memory is the undisturbed one."""
    randomly = random.Random(3)
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        workers = [chaos_cluster.worker(number) for number in (0, 1)]
        chaos_cluster.expect_progress()
        for kill in range(KILLS):
            number = kill % 2
            # From the very start of a worker's life to well into its work.
            pause = randomly.uniform(0.2, 3.6)
            wait_until_later(pause)
            workers[number].kill9()
            workers[number] = chaos_cluster.worker(number)
        chaos_cluster.expect_progress()
    chaos_cluster.verify()


def test_a_frozen_worker_that_wakes_up_commits_nothing_of_what_it_held(
    kafka: Kafka, tmp_path: Path
) -> None:
    """SIGSTOP past the session, another worker takes over, SIGCONT."""
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        sleeper, heir = chaos_cluster.worker(0), chaos_cluster.worker(1)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            sleeper.freeze()
            # The heir has taken over when records of all partitions go on being committed.
            chaos_cluster.expect_progress(500)
            chaos_cluster.expect_progress_everywhere()
            sleeper.thaw()
            chaos_cluster.expect_progress(2_000)
        assert heir.running


def test_sigterm_commits_the_micro_batch_and_leaves_at_once(kafka: Kafka, tmp_path: Path) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_000)
        for _ in range(3):
            assert worker.terminate(deadline=5) == 0
            worker = chaos_cluster.worker(0)
            # Left, not timed out: the next one gets the partitions before a session would end.
            chaos_cluster.expect_progress(1_000, deadline=30)


def test_workers_that_come_and_go_hand_over_without_a_gap(kafka: Kafka, tmp_path: Path) -> None:
    """With room for fewer sensors than there are: whom a memory forgets is not up to the worker."""
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
    """Ask the worker how many sensors it has forgotten."""
    found = re.search(r"health=(\S+)", log.read_text())
    assert found is not None
    with urllib.request.urlopen(f"{found[1]}/metrics", timeout=5) as answer:
        metrics = answer.read().decode()
    sample = re.search(r"^sensorwatch_sensors_evicted_total (\S+)$", metrics, re.MULTILINE)
    assert sample is not None
    return float(sample[1])


def wait_until_later(seconds: float) -> None:
    """Let the run go on for a while: here the passing of time itself is the experiment."""
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, deadline=seconds + 5, what="time to pass")
