"""Policies in the registry: the alias, the audit log, pruning, damage and following."""

import os
from pathlib import Path

import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.policy_follower import (
    MIN_SECONDS_BETWEEN_POLICIES,
    PolicyFollower,
)
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from tests.policy.policy_builders import a_policy

NAME = "default"
FIRST, SECOND, THIRD = (a_policy(f'[[rule]]\nname = "r"\nmin_rows = {n}') for n in (2, 3, 4))


@pytest.fixture(autouse=True)
def _without_fsync(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)


@pytest.fixture
def registry(tmp_path: Path) -> PolicyRegistry:
    return PolicyRegistry(tmp_path, NAME)


def put_in_force(registry: PolicyRegistry, *policies: AlarmPolicy) -> None:
    for policy in policies:
        registry.apply(policy, who="anna", why="less noise")


def test_an_applied_policy_is_in_force_and_in_the_audit_log(
    registry: PolicyRegistry, tmp_path: Path
) -> None:
    assert registry.current_id() is None
    put_in_force(registry, FIRST, SECOND)

    assert registry.current_id() == SECOND.id
    loaded = registry.load(FIRST.id)
    assert loaded is not None
    assert loaded.content == FIRST.content
    entry = Registry(tmp_path).audit(NAME)[-1]
    assert (entry.action, entry.who, entry.why) == (Action.POLICY, "anna", "less noise")
    assert entry.detail == {"policy": SECOND.id, "before": FIRST.id}
    assert Registry(tmp_path).verify_audit(NAME) == []


def test_prune_keeps_the_current_policy_and_those_in_use(registry: PolicyRegistry) -> None:
    put_in_force(registry, FIRST, SECOND, THIRD)

    deleted = registry.prune(who="w", why="w", in_use=frozenset({FIRST.id}))

    assert deleted == [SECOND.id]
    for policy in (FIRST, THIRD):
        assert registry.load(policy.id) is not None
    with pytest.raises(ModelRefused, match="cannot be read"):
        registry.load(SECOND.id)


class Following:
    """A follower with a clock that a test sets."""

    def __init__(self, registry: PolicyRegistry) -> None:
        self.now = 0.0
        self.adopted: list[str | None] = []
        self.refused: list[str] = []
        self.follower = PolicyFollower(
            registry,
            on_adopted=lambda policy: self.adopted.append(policy.id if policy else None),
            on_refused=lambda error: self.refused.append(str(error)),
            clock=lambda: self.now,
        )


def test_a_follower_adopts_a_policy_at_most_once_a_minute(registry: PolicyRegistry) -> None:
    following = Following(registry)
    put_in_force(registry, FIRST)
    assert following.follower.refresh()
    put_in_force(registry, SECOND)
    following.now = MIN_SECONDS_BETWEEN_POLICIES - 1
    assert not following.follower.refresh()
    put_in_force(registry, THIRD)
    following.now = MIN_SECONDS_BETWEEN_POLICIES
    assert following.follower.refresh()

    assert following.adopted == [None, FIRST.id, THIRD.id]
    assert not following.follower.refresh()


def test_a_damaged_policy_is_refused_once_and_the_last_one_stays(
    registry: PolicyRegistry, tmp_path: Path
) -> None:
    put_in_force(registry, FIRST)
    following = Following(registry)
    put_in_force(registry, SECOND)
    (tmp_path / NAME / "policies" / f"{SECOND.id}.json").write_text("{}")

    assert [following.follower.refresh() for _ in range(3)] == [False] * 3
    assert len(following.refused) == 1
    current = following.follower.current()
    assert current is not None
    assert current.id == FIRST.id
    with pytest.raises(ModelRefused):
        Following(registry)


def test_a_damaged_alias_is_refused_and_the_next_apply_repairs_it(
    registry: PolicyRegistry, tmp_path: Path
) -> None:
    put_in_force(registry, FIRST)
    (tmp_path / NAME / "policies" / "current.json").write_text("{")
    with pytest.raises(ModelRefused, match="rules apply"):
        registry.current_id()

    put_in_force(registry, SECOND)

    assert registry.current_id() == SECOND.id
