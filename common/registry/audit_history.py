"""Compares the state of a model's folder with the state that its audit log records.

Each entry is written before the change that it describes. If the process is killed in between, the
last entry describes a change that was not made. The next change then adds an entry with the actual
state.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sensorwatch.common.registry.aliases import CHAMPION, PREVIOUS, Aliases
from sensorwatch.common.registry.audit import Action, AuditEntry

CURRENT_POLICY = "policy@current"


@dataclass(frozen=True, slots=True)
class RegistryState:
    """The versions and policies of a model, and the targets of its aliases."""

    versions: frozenset[str] = frozenset()
    champion: str | None = None
    previous: str | None = None
    policies: frozenset[str] = frozenset()
    policy: str | None = None
    """The target of `policy@current`."""

    def to_plain(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return {
            "versions": sorted(self.versions),
            CHAMPION: self.champion,
            PREVIOUS: self.previous,
            "policies": sorted(self.policies),
            CURRENT_POLICY: self.policy,
        }


def folder_state(
    versions: Iterable[str], aliases: Aliases, policies: Iterable[str], policy: str | None
) -> RegistryState:
    """Return the actual state of a folder. `policy`: the target of `policy@current`."""
    return RegistryState(
        frozenset(versions), aliases.champion, aliases.previous, frozenset(policies), policy
    )


def logged_state(entries: Iterable[AuditEntry]) -> RegistryState:
    """Return the state that a folder has if the changes of all audit entries were made."""
    state = RegistryState()
    for entry in entries:
        state = _apply(state, entry)
    return state


def differences(expected_state: RegistryState, actual_state: RegistryState) -> list[str]:
    """Return one text for each difference between a folder and its audit log."""
    expected_ids = expected_state.versions | expected_state.policies
    actual_ids = actual_state.versions | actual_state.policies
    texts = [f"{missing_id} is missing" for missing_id in sorted(expected_ids - actual_ids)]
    texts += [f"{unlogged_id} has no entry" for unlogged_id in sorted(actual_ids - expected_ids)]
    for alias, logged_id, actual_id in (
        (CHAMPION, expected_state.champion, actual_state.champion),
        (PREVIOUS, expected_state.previous, actual_state.previous),
        (CURRENT_POLICY, expected_state.policy, actual_state.policy),
    ):
        if logged_id != actual_id:
            texts.append(
                f"{alias} is {actual_id or 'unset'}, but the log records {logged_id or 'unset'}"
            )
    return texts


def _apply(state: RegistryState, entry: AuditEntry) -> RegistryState:
    detail = entry.detail
    match entry.action:
        case Action.REGISTER if entry.version:
            return replace(state, versions=state.versions | {entry.version})
        case Action.DELETE if entry.version:
            return replace(state, versions=state.versions - {entry.version})
        case Action.PROMOTE | Action.ROLLBACK:
            return replace(state, champion=detail.get(CHAMPION), previous=detail.get(PREVIOUS))
        case Action.POLICY | Action.VERDICT if detail.get("policy"):
            policy = str(detail["policy"])
            return replace(state, policies=state.policies | {policy}, policy=policy)
        case Action.DELETE_POLICY:
            return replace(state, policies=state.policies - {str(detail.get("policy"))})
        case Action.CORRECT:
            return _corrected_state(state, detail)
    return state


def _corrected_state(state: RegistryState, detail: dict[str, Any]) -> RegistryState:
    """Return the state in an entry. Entries of older programs do not have the policies."""
    state = replace(
        state,
        versions=_ids(detail.get("versions")),
        champion=detail.get(CHAMPION),
        previous=detail.get(PREVIOUS),
    )
    if "policies" not in detail:
        return state
    return replace(state, policies=_ids(detail["policies"]), policy=detail.get(CURRENT_POLICY))


def _ids(value: Any) -> frozenset[str]:
    return frozenset(map(str, value)) if isinstance(value, list) else frozenset()
