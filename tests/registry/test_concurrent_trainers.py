"""Trainers in several processes can change one registry at the same time."""

import os
from multiprocessing import get_context
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO, a_registry

TRAINERS = 4
ROUNDS = 4


def _train(root: Path, trainer: int) -> None:
    os.fsync = lambda fd: None  # the fixture `_without_fsync` has no effect here
    registry = Registry(root / "registry")
    for round_ in range(ROUNDS):
        version = registry.register(NAME, a_candidate(), who=f"trainer {trainer}", why="race")
        registry.attach_report(NAME, version, {"passed": round_ % 2 == 0})
        if round_ % 2 == 0:
            registry.promote(NAME, version, who=f"trainer {trainer}", why="race")
        if round_ == 3:
            registry.prune(NAME, keep=100, who=f"trainer {trainer}", why="race")


@pytest.mark.slow
def test_concurrent_trainers_lose_and_damage_nothing(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    champion = Champion(registry, NAME, on_refused=_raise_unsound_registry)
    spawn_context = get_context("spawn")
    trainers = [spawn_context.Process(target=_train, args=(tmp_path, n)) for n in range(TRAINERS)]

    for trainer in trainers:
        trainer.start()
    swap_count = 0
    while running_sentinels := [trainer.sentinel for trainer in trainers if trainer.is_alive()]:
        # A service that refreshes continuously must only get sound versions.
        swap_count += champion.refresh()
        wait(running_sentinels, timeout=0.02)
    champion.refresh()

    assert [trainer.exitcode for trainer in trainers] == [0] * TRAINERS
    ids = registry.version_ids(NAME)
    assert [version[:13] for version in ids] == [
        f"default-{number:04d}-" for number in range(1, TRAINERS * ROUNDS + 2)
    ]
    assert all(registry.verify(NAME, version) == [] for version in ids)
    assert registry.verify_audit(NAME) == []
    assert registry.load(NAME).manifest.id == champion.version.manifest.id
    promotions = [line for line in registry.audit(NAME) if line.action == "promote"]
    assert len(promotions) == 1 + TRAINERS * 2
    assert swap_count > 0


def test_the_entries_of_a_trainer_are_in_the_order_of_its_changes(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    _train(tmp_path, 0)

    actions = [line.action.value for line in registry.audit(NAME) if line.who == "trainer 0"]

    assert actions[:2] == ["register", "promote"]
    assert actions.count("register") == ROUNDS
    assert WHO in {line.who for line in registry.audit(NAME)}


def _raise_unsound_registry(error: Exception) -> None:
    raise AssertionError(f"a reader saw an unsound registry: {error}")
