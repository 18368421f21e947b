"""Promotion, rollback and deletion of versions, and the aliases that follow from them."""

import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from sensorwatch.common.errors import CheckFailed, ModelRefused, UsageError
from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO, a_registry, folder_of

PASSING_REPORT = {"passed": True}


def test_a_version_with_a_passing_report_is_promoted(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.attach_report(NAME, second_version, PASSING_REPORT)

    registry.promote(NAME, second_version, who=WHO, why="better")

    assert registry.aliases(NAME) == {"champion": second_version, "previous": first_version}


def test_a_version_without_a_report_is_not_promoted(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)

    with pytest.raises(CheckFailed, match=r"it has no report; evaluate it with .*--force"):
        registry.promote(NAME, second_version, who=WHO, why="hope")

    assert registry.aliases(NAME) == {"champion": first_version}


def test_promotion_depends_on_the_newest_report_only(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    registry.attach_report(NAME, second_version, PASSING_REPORT)
    registry.attach_report(NAME, second_version, {"passed": False})

    with pytest.raises(CheckFailed, match=r"0002\.json did not pass"):
        registry.promote(NAME, second_version, who=WHO, why="hope")


def test_a_report_of_another_version_does_not_allow_promotion(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.attach_report(NAME, first_version, PASSING_REPORT)

    with pytest.raises(CheckFailed, match="it has no report"):
        registry.promote(NAME, second_version, who=WHO, why="hope")


def test_an_edited_report_does_not_allow_promotion(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    path = registry.attach_report(NAME, second_version, {"passed": False})
    path.write_text('{"passed": true}')

    with pytest.raises(CheckFailed, match="missing or was edited"):
        registry.promote(NAME, second_version, who=WHO, why="hope")
    assert registry.verify(NAME, second_version) == [
        "reports/0001.json is not what the audit log recorded"
    ]


def test_a_report_that_was_not_registered_does_not_allow_promotion(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    (folder_of(tmp_path, second_version) / "reports" / "0001.json").write_text('{"passed": true}')

    with pytest.raises(CheckFailed, match="it has no report"):
        registry.promote(NAME, second_version, who=WHO, why="hope")


def test_force_promotes_without_a_report_and_logs_the_reason(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]

    registry.promote(NAME, second_version, who=WHO, why="urgent", force="plant is down")

    entry = registry.audit(NAME)[-1]
    assert (entry.action, entry.who, entry.why) == (Action.PROMOTE, WHO, "urgent")
    assert entry.detail["force"] == "plant is down"
    assert entry.detail["without"] == "it has no report"


def test_force_with_a_blank_reason_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)

    with pytest.raises(UsageError, match="needs a reason"):
        registry.promote(NAME, registry.version_ids(NAME)[1], who=WHO, why="x", force=" ")


def test_force_does_not_promote_a_damaged_version(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    (folder_of(tmp_path, second_version) / "arrays.npz").write_bytes(b"")

    with pytest.raises(ModelRefused, match=f"{second_version} is refused"):
        registry.promote(NAME, second_version, who=WHO, why="x", force="really")

    assert registry.aliases(NAME) == {"champion": first_version}


def test_promoting_the_champion_again_keeps_the_previous_alias(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    for _ in range(2):
        registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    assert registry.aliases(NAME) == {"champion": second_version, "previous": first_version}


def test_a_version_can_be_promoted_by_its_alias(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    registry.promote(NAME, "previous", who=WHO, why="x", force="test")

    assert registry.aliases(NAME) == {"champion": first_version, "previous": second_version}


def test_rolling_back_twice_restores_the_champion(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    assert registry.rollback(NAME, who=WHO, why="worse") == first_version
    assert registry.rollback(NAME, who=WHO, why="better after all") == second_version
    assert registry.aliases(NAME) == {"champion": second_version, "previous": first_version}


def test_a_rollback_without_a_previous_version_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)

    with pytest.raises(ModelRefused, match="has no previous: make one of default-0001"):
        registry.rollback(NAME, who=WHO, why="x")


def test_rolling_back_to_a_damaged_version_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")
    (folder_of(tmp_path, first_version) / "golden.npz").unlink()

    with pytest.raises(ModelRefused, match=f"{first_version} is refused"):
        registry.rollback(NAME, who=WHO, why="x")

    assert registry.aliases(NAME)["champion"] == second_version


def test_pruning_keeps_the_champion_the_previous_and_versions_in_use(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=5)
    first_version, second_version, third_version, fourth_version, fifth_version = (
        registry.version_ids(NAME)
    )
    registry.promote(NAME, third_version, who=WHO, why="x", force="test")

    deleted_ids = registry.prune(
        NAME, keep=1, who=WHO, why="space", in_use=frozenset({second_version})
    )

    assert deleted_ids == [fourth_version]
    assert registry.version_ids(NAME) == [
        first_version,
        second_version,
        third_version,
        fifth_version,
    ]
    assert registry.audit(NAME)[-1].action is Action.DELETE
    assert registry.verify_audit(NAME) == []


def test_the_number_of_a_deleted_version_is_not_used_again(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=3)
    registry.prune(NAME, keep=0, who=WHO, why="space")

    new_version = registry.register(NAME, a_candidate(), who=WHO, why="test")

    assert new_version.startswith("default-0004-")


def test_models_of_one_registry_have_separate_versions_and_aliases(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    pumps_version = registry.register("pumps", a_candidate(seed=8), who=WHO, why="test")

    assert registry.names() == [NAME, "pumps"]
    assert registry.aliases("pumps") == {"champion": pumps_version}
    with pytest.raises(ModelRefused, match="has no version"):
        registry.load(NAME, pumps_version)


class AliasModel(RuleBasedStateMachine):
    """Compares a registry with expected values after any sequence of changes."""

    root: Path

    def __init__(self) -> None:
        super().__init__()
        self.registry = Registry(self.root / uuid.uuid4().hex)
        self.ids: list[str] = []
        self.passed: dict[str, bool] = {}
        self.champion: str | None = None
        self.previous: str | None = None
        self.registered = 0

    @rule()
    def register(self) -> None:
        version = self.registry.register(NAME, a_candidate(), who=WHO, why="x")
        self.registered += 1
        assert version.startswith(f"default-{self.registered:04d}-")
        self.ids.append(version)
        self.champion = self.champion or version

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), passed=st.booleans())
    def evaluate(self, data: st.DataObject, passed: bool) -> None:
        version = data.draw(st.sampled_from(self.ids))
        self.registry.attach_report(NAME, version, {"passed": passed})
        self.passed[version] = passed

    @precondition(lambda self: self.ids)
    @rule(data=st.data(), force=st.sampled_from([None, "test"]))
    def promote(self, data: st.DataObject, force: str | None) -> None:
        version = data.draw(st.sampled_from(self.ids))
        if force is None and not self.passed.get(version):
            with pytest.raises(CheckFailed):
                self.registry.promote(NAME, version, who=WHO, why="x")
            return
        self.registry.promote(NAME, version, who=WHO, why="x", force=force)
        if version != self.champion:
            self.champion, self.previous = version, self.champion

    @precondition(lambda self: self.ids)
    @rule()
    def roll_back(self) -> None:
        if self.previous is None:
            with pytest.raises(ModelRefused):
                self.registry.rollback(NAME, who=WHO, why="x")
            return
        assert self.registry.rollback(NAME, who=WHO, why="x") == self.previous
        self.champion, self.previous = self.previous, self.champion

    @precondition(lambda self: self.ids)
    @rule(keep=st.integers(0, 4))
    def prune(self, keep: int) -> None:
        self.registry.prune(NAME, keep=keep, who=WHO, why="x")
        newest_ids = self.ids[len(self.ids) - min(keep, len(self.ids)) :]
        protected_ids = {*newest_ids, self.champion, self.previous}
        self.ids = [version for version in self.ids if version in protected_ids]

    @invariant()
    def registry_has_the_expected_versions(self) -> None:
        assert self.registry.version_ids(NAME) == self.ids
        expected_aliases = {"champion": self.champion, "previous": self.previous}
        assert self.registry.aliases(NAME) == {k: v for k, v in expected_aliases.items() if v}
        assert self.registry.verify_audit(NAME) == []
        if self.champion:
            assert self.registry.load(NAME).manifest.id == self.champion


@pytest.mark.slow
def test_any_sequence_of_changes_gives_the_expected_aliases(tmp_path: Path) -> None:
    class AliasModelInFolder(AliasModel):
        root = tmp_path

    run_state_machine_as_test(
        AliasModelInFolder,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],  # writing files makes every step slow
        ),
    )
