"""What the audit log tells about the registry's state, and how it is brought in line with it.

A line is written before what it tells is done. So a kill leaves at most the last line undone, and
the next change says in a line of its own what it found instead.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sensorwatch.common.registry.aliases import CHAMPION, PREVIOUS, Aliases
from sensorwatch.common.registry.audit import Action, AuditEntry


@dataclass(frozen=True, slots=True)
class RegistryState:
    """Which versions there are and where the aliases point."""

    versions: frozenset[str] = frozenset()
    champion: str | None = None
    previous: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        aliases = {CHAMPION: self.champion, PREVIOUS: self.previous}
        return {"versions": sorted(self.versions), **aliases}


def folder_state(versions: Iterable[str], aliases: Aliases) -> RegistryState:
    """The state of a folder."""
    return RegistryState(frozenset(versions), aliases.champion, aliases.previous)


def logged_state(entries: Iterable[AuditEntry]) -> RegistryState:
    """The state after everything that the lines tell was done."""
    state = RegistryState()
    for entry in entries:
        state = _apply(state, entry)
    return state


def differences(logged: RegistryState, actual: RegistryState) -> list[str]:
    """Say in words how a folder differs from what the log tells."""
    texts = [f"{version} is not there" for version in sorted(logged.versions - actual.versions)]
    texts += [f"{version} has no line" for version in sorted(actual.versions - logged.versions)]
    for alias in (CHAMPION, PREVIOUS):
        wanted, got = getattr(logged, alias), getattr(actual, alias)
        if wanted != got:
            texts.append(f"{alias} is {got or 'nothing'}, told was {wanted or 'nothing'}")
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
            listed = map(str, versions) if isinstance(versions, list) else ()
            return RegistryState(frozenset(listed), detail.get(CHAMPION), detail.get(PREVIOUS))
    return state
