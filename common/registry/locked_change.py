"""Changes a model's folder under its lock, and writes the audit entry before each change."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.aliases import (
    CHAMPION,
    PREVIOUS,
    Aliases,
    read_aliases,
    write_aliases,
)
from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.audit_history import (
    CURRENT_POLICY,
    RegistryState,
    differences,
    folder_state,
    logged_state,
)
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import ordinal_of


@dataclass(frozen=True, slots=True)
class Change:
    """The operations that change a model's folder; the caller must have the folder's lock."""

    folder: ModelFolder
    who: str
    now: Callable[[], datetime]

    def log_action(
        self, action: Action, version: str | None, why: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Append an audit entry for the change that follows."""
        when = self.now()
        self.folder.log.append(
            action, when=when, who=self.who, why=why, version=version, detail=detail
        )

    def move_aliases(
        self, action: Action, target: Aliases, why: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Log the new aliases, then write them to the alias file."""
        aliases = {CHAMPION: target.champion, PREVIOUS: target.previous}
        self.log_action(action, target.champion, why, {**aliases, **(detail or {})})
        write_aliases(self.folder.aliases, replace(target, changed=self.now()))

    def delete(self, version: str, why: str) -> None:
        """Log the deletion of a version, then remove it."""
        self.log_action(Action.DELETE, version, why)
        self.folder.remove(version)

    def next_ordinal(self) -> int:
        """Return the number for the next version; numbers of deleted versions are not reused."""
        logged_versions = [entry.version for entry in self.folder.log.entries() if entry.version]
        numbers = (
            ordinal_of(self.folder.name, version)
            for version in [*logged_versions, *self.folder.version_ids()]
        )
        return 1 + max((number for number in numbers if number is not None), default=0)


@contextmanager
def locked_change(folder: ModelFolder, who: str, now: Callable[[], datetime]) -> Iterator[Change]:
    """Lock a model's folder and yield its `Change`.

    If the folder differs from its audit log, an entry with the actual state is first added to the
    log.
    """
    with folder.locked():
        change = Change(folder, who, now)
        folder.log.repair(when=now(), who=who)
        mismatches = log_mismatches(folder)
        if mismatches:
            policy, _ = _current_policy(folder)
            state = _state_of(folder, aliases_or_none(folder) or Aliases(), policy)
            why = f"the folder differed from this log: {'; '.join(mismatches)}"
            change.log_action(Action.CORRECT, None, why, state.to_plain())
        yield change


def log_mismatches(folder: ModelFolder) -> list[str]:
    """Return one text for each difference between a model's folder and its audit log."""
    problems: list[str] = []
    logged_folder_state = logged_state(folder.log.entries())
    aliases, (policy, is_readable) = aliases_or_none(folder), _current_policy(folder)
    if aliases is None:
        problems.append("the aliases cannot be read")
        aliases = Aliases(logged_folder_state.champion, logged_folder_state.previous)
    if not is_readable:
        problems.append(f"{CURRENT_POLICY} cannot be read")
        policy = logged_folder_state.policy
    return problems + differences(logged_folder_state, _state_of(folder, aliases, policy))


def damaged_policies(folder: ModelFolder) -> list[str]:
    """Return one text for each policy whose content does not belong to its id."""
    problems: list[str] = []
    for policy_id in folder.policies.ids():
        try:
            folder.policies.load(policy_id)
        except ModelRefused as error:
            problems.append(str(error))
    return problems


def _state_of(folder: ModelFolder, aliases: Aliases, policy: str | None) -> RegistryState:
    return folder_state(folder.version_ids(), aliases, folder.policies.ids(), policy)


def _current_policy(folder: ModelFolder) -> tuple[str | None, bool]:
    """Return the target of `policy@current`, and whether the alias can be read."""
    try:
        return folder.policies.current_id(), True
    except ModelRefused:
        return None, False


def aliases_or_none(folder: ModelFolder) -> Aliases | None:
    """Return the aliases, or None if the alias file is damaged; a promotion repairs the file."""
    try:
        return read_aliases(folder.aliases)
    except ModelRefused:
        return None
