"""Compares the state of a model's folder with the state that its audit log records.

Each entry is written before the change that it describes. If the process is killed in between, the
last entry describes a change that was not made. The next change then adds an entry with the actual
state.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.registry.aliases import CHAMPION, PREVIOUS, Aliases
from sensorwatch.common.registry.audit import Action, AuditEntry


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The versions of a model and the targets of its aliases."""

    versions: frozenset[str] = frozenset()
    champion: str | None = None
    previous: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        aliases = {CHAMPION: self.champion, PREVIOUS: self.previous}
        return {"versions": sorted(self.versions), **aliases}


def folder_state(versions: Iterable[str], aliases: Aliases) -> RegistryState:
    """Return the actual state of a folder."""
    return RegistryState(frozenset(versions), aliases.champion, aliases.previous)


def logged_state(entries: Iterable[AuditEntry]) -> RegistryState:
    """Return the state that a folder has if the changes of all audit entries were made."""
    state = RegistryState()
    for entry in entries:
        state = _apply(state, entry)
    return state


def differences(expected_state: RegistryState, actual_state: RegistryState) -> list[str]:
    """Return one text for each difference between a folder and its audit log."""
    texts = [
        f"{version} is missing"
        for version in sorted(expected_state.versions - actual_state.versions)
    ]
    texts += [
        f"{version} has no entry"
        for version in sorted(actual_state.versions - expected_state.versions)
    ]
    for alias in (CHAMPION, PREVIOUS):
        logged_id, actual_id = getattr(expected_state, alias), getattr(actual_state, alias)
        if logged_id != actual_id:
            texts.append(
                f"{alias} is {actual_id or 'unset'}, but the log records {logged_id or 'unset'}"
            )
    return texts


def _apply(state: RegistryState, entry: AuditEntry) -> RegistryState:
    detail = entry.detail
    match entry.action:
        case Action.REGISTER if entry.version:
            return RegistryState(state.versions | {entry.version}, state.champion, state.previous)
        case Action.DELETE if entry.version:
            return RegistryState(state.versions - {entry.version}, state.champion, state.previous)
        case Action.PROMOTE | Action.ROLLBACK:
            return RegistryState(state.versions, detail.get(CHAMPION), detail.get(PREVIOUS))
        case Action.CORRECT:
            versions = detail.get("versions")
            version_ids = map(str, versions) if isinstance(versions, list) else ()
            return RegistryState(frozenset(version_ids), detail.get(CHAMPION), detail.get(PREVIOUS))
    return state
