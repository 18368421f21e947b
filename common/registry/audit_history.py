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
class State:
    """Which versions there are and where the aliases point."""

    versions: frozenset[str] = frozenset()
    champion: str | None = None
    previous: str | None = None

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        aliases = {CHAMPION: self.champion, PREVIOUS: self.previous}
        return {"versions": sorted(self.versions), **aliases}


def state_found(versions: Iterable[str], aliases: Aliases) -> State:
    """The state of a folder."""
    return State(frozenset(versions), aliases.champion, aliases.previous)


def state_told(entries: Iterable[AuditEntry]) -> State:
    """The state after everything that the lines tell was done."""
    state = State()
    for entry in entries:
        state = _after(state, entry)
    return state


def differences(told: State, found: State) -> list[str]:
    """Say in words how a folder differs from what the log tells."""
    words = [f"{version} is not there" for version in sorted(told.versions - found.versions)]
    words += [f"{version} has no line" for version in sorted(found.versions - told.versions)]
    for alias in (CHAMPION, PREVIOUS):
        wanted, got = getattr(told, alias), getattr(found, alias)
        if wanted != got:
            words.append(f"{alias} is {got or 'nothing'}, told was {wanted or 'nothing'}")
    return words


def _after(state: State, entry: AuditEntry) -> State:
    detail = entry.detail
    match entry.action:
        case Action.REGISTER if entry.version:
            return State(state.versions | {entry.version}, state.champion, state.previous)
        case Action.DELETE if entry.version:
            return State(state.versions - {entry.version}, state.champion, state.previous)
        case Action.PROMOTE | Action.ROLLBACK:
            return State(state.versions, detail.get(CHAMPION), detail.get(PREVIOUS))
        case Action.CORRECT:
            versions = detail.get("versions")
            listed = map(str, versions) if isinstance(versions, list) else ()
            return State(frozenset(listed), detail.get(CHAMPION), detail.get(PREVIOUS))
    return state
