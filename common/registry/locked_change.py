"""One change to a model's shelf: the lock held, the line in the audit log before the deed."""

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
from sensorwatch.common.registry.audit_history import differences, folder_state, logged_state
from sensorwatch.common.registry.model_folder import ModelFolder
from sensorwatch.common.registry.model_names import ordinal_of


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody is doing to a shelf while holding its lock."""

    shelf: ModelFolder
    who: str
    now: Callable[[], datetime]

    def log_action(
        self, action: Action, version: str | None, why: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Write down what is done next."""
        when = self.now()
        self.shelf.log.append(
            action, when=when, who=self.who, why=why, version=version, detail=detail
        )

    def move(
        self, action: Action, target: Aliases, why: str, detail: dict[str, Any] | None = None
    ) -> None:
        """Write down where the aliases go, and move them."""
        aliases = {CHAMPION: target.champion, PREVIOUS: target.previous}
        self.log_action(action, target.champion, why, {**aliases, **(detail or {})})
        write_aliases(self.shelf.aliases, replace(target, changed=self.now()))

    def delete(self, version: str, why: str) -> None:
        """Write down that a version goes, and remove it."""
        self.log_action(Action.DELETE, version, why)
        self.shelf.remove(version)

    def next_ordinal(self) -> int:
        """Return a number that no version has or had."""
        logged = [entry.version for entry in self.shelf.log.entries() if entry.version]
        numbers = (ordinal_of(self.shelf.name, id_) for id_ in [*logged, *self.shelf.version_ids()])
        return 1 + max((number for number in numbers if number is not None), default=0)


@contextmanager
def locked_change(shelf: ModelFolder, who: str, now: Callable[[], datetime]) -> Iterator[Change]:
    """Hold a shelf's lock, with log and folder brought in line before anything else is done."""
    with shelf.locked():
        change = Change(shelf, who, now)
        shelf.log.repair(when=now(), who=who)
        found = log_mismatches(shelf)
        if found:
            state = folder_state(shelf.version_ids(), aliases_or_none(shelf) or Aliases())
            why = f"found otherwise than told: {'; '.join(found)}"
            change.log_action(Action.CORRECT, None, why, state.to_plain())
        yield change


def log_mismatches(shelf: ModelFolder) -> list[str]:
    """Say how a shelf differs from what its log tells."""
    aliases = aliases_or_none(shelf)
    unreadable = ["the aliases cannot be read"] if aliases is None else []
    logged = logged_state(shelf.log.entries())
    found = folder_state(shelf.version_ids(), aliases or Aliases(logged.champion, logged.previous))
    return unreadable + differences(logged, found)


def aliases_or_none(shelf: ModelFolder) -> Aliases | None:
    """Read the aliases; None where their file is damaged, which promoting repairs."""
    try:
        return read_aliases(shelf.aliases)
    except ModelRefused:
        return None
