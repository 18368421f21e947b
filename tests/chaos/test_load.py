from pathlib import Path

import pytest

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.chaos.chaos_cluster import MODEL, ChaosCluster
from tests.checker.topic_reader import read_committed

pytestmark = [pytest.mark.broker, pytest.mark.chaos, pytest.mark.timeout(300)]


def test_ten_percent_invalid_rows_all_become_dead_letters(kafka: Kafka, tmp_path: Path) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load(poison=0.10):
        for number in (0, 1):
            chaos_cluster.worker(number)
        chaos_cluster.expect_progress(5_000)
    letters = read_committed(chaos_cluster.run.address, chaos_cluster.run.dead_letters)
    assert len(letters) > 400


def test_a_model_swapped_and_rolled_back_under_load_scores_every_row_once(
    kafka: Kafka, tmp_path: Path
) -> None:
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        workers = [chaos_cluster.worker(number) for number in (0, 1)]
        chaos_cluster.expect_progress(2_000)
        second = chaos_cluster.add_model(seed=8)
        chaos_cluster.promote(second)
        chaos_cluster.expect_progress(3_000)
        chaos_cluster.registry.rollback(MODEL, who="test", why="chaos")
        chaos_cluster.expect_progress(3_000)
        chaos_cluster.promote(second)
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
    with ChaosCluster(kafka, tmp_path) as chaos_cluster, chaos_cluster.load():
        worker = chaos_cluster.worker(0)
        chaos_cluster.expect_progress(2_000)
        second = chaos_cluster.add_model(seed=8)
        arrays = next((tmp_path / "registry").rglob(f"{second}/arrays.npz"))
        chaos_cluster.promote(second)
        wait_until(lambda: second in worker.log.read_text(), deadline=30, what="the swap")
        chaos_cluster.registry.rollback(MODEL, who="test", why="chaos")
        chaos_cluster.expect_progress(2_000)
        damaged = bytearray(arrays.read_bytes())
        damaged[len(damaged) // 2] ^= 1
        arrays.chmod(0o644)
        arrays.write_bytes(damaged)
        # The alias is changed by hand, without the registry's check.
        aliases = next((tmp_path / "registry").rglob("aliases.json"))
        first = next(version for version in chaos_cluster.detectors if version != second)
        aliases.write_text(
            aliases.read_text().replace(first, "*").replace(second, first).replace("*", second)
        )
        wait_until(lambda: "refused" in worker.log.read_text(), deadline=30, what="the refusal")
        chaos_cluster.expect_progress(2_000)
        assert worker.running
