"""Under load, invalid rows, model swaps and a corrupt champion cause no wrong outcome."""

from pathlib import Path

import pytest

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.chaos.chaos_cluster import MODEL_NAME, ChaosCluster
from tests.checker.topic_reader import read_committed

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(300)]


def test_ten_percent_invalid_rows_all_become_dead_letters(kafka: Kafka, tmp_path: Path) -> None:
    with (
        ChaosCluster(kafka, tmp_path) as chaos_cluster,
        chaos_cluster.running_load(invalid_share=0.10),
    ):
        for worker_number in (0, 1):
            chaos_cluster.start_worker(worker_number)
        chaos_cluster.expect_progress(5_000)
    dead_letters = read_committed(chaos_cluster.run.address, chaos_cluster.run.dead_letters)
    assert len(dead_letters) > 400


def test_a_model_swapped_and_rolled_back_under_load_scores_every_row_once(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        workers = [chaos_cluster.start_worker(worker_number) for worker_number in (0, 1)]
        chaos_cluster.expect_progress(2_000)
        second_version = chaos_cluster.add_model(seed=8)
        chaos_cluster.promote(second_version)
        chaos_cluster.expect_progress(3_000)
        chaos_cluster.registry.rollback(MODEL_NAME, who="test", why="chaos")
        chaos_cluster.expect_progress(3_000)
        chaos_cluster.promote(second_version)
        chaos_cluster.expect_progress(3_000)
        assert all(worker.running for worker in workers)
    versions = {
        version
        for event in read_committed(chaos_cluster.run.address, chaos_cluster.run.anomalies)
        for version in chaos_cluster.detectors
        if version.encode() in (event.value() or b"")
    }
    assert versions == set(chaos_cluster.detectors), "both versions must have anomalies"


def test_a_corrupt_champion_is_refused_and_the_last_good_version_stays_in_use(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.running_load():
        worker = chaos_cluster.start_worker(0)
        chaos_cluster.expect_progress(2_000)
        [first_version] = chaos_cluster.detectors
        second_version = chaos_cluster.add_model(seed=8)
        arrays_path = next((tmp_path / "registry").rglob(f"{second_version}/arrays.npz"))
        chaos_cluster.promote(second_version)
        wait_until(lambda: second_version in worker.log.read_text(), deadline=30, what="the swap")
        chaos_cluster.registry.rollback(MODEL_NAME, who="test", why="chaos")
        # Until the worker has left the second version, it would not load it again.
        wait_until(
            lambda: first_version in worker.log.read_text().rpartition(second_version)[2],
            deadline=30,
            what="the rollback",
        )
        chaos_cluster.expect_progress(2_000)
        damaged_bytes = bytearray(arrays_path.read_bytes())
        damaged_bytes[len(damaged_bytes) // 2] ^= 1
        arrays_path.chmod(0o644)
        arrays_path.write_bytes(damaged_bytes)
        # The test edits the aliases file, because the registry would refuse the damaged version.
        aliases_path = next((tmp_path / "registry").rglob("aliases.json"))
        aliases_path.write_text(
            aliases_path.read_text()
            .replace(first_version, "*")
            .replace(second_version, first_version)
            .replace("*", second_version)
        )
        wait_until(lambda: "refused" in worker.log.read_text(), deadline=30, what="the refusal")
        chaos_cluster.expect_progress(2_000)
        assert worker.running
