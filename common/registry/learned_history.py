"""What one verdict adds to a policy, and the sum of all verdicts in an audit log."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from sensorwatch.common.policy.learned import LearnedPart, LearnedSuppression
from sensorwatch.common.policy.rules import Window
from sensorwatch.common.registry.audit import Action, AuditEntry


@dataclass(frozen=True, slots=True)
class Learned:
    """What a verdict on an episode adds to the policy; it replaces earlier entries of the episode.

    With neither a suppression nor a window, the verdict only removes the earlier entries.
    """

    episode_id: str
    suppression: LearnedSuppression | None = None
    window: Window | None = None

    def added_to(self, learned: LearnedPart) -> LearnedPart:
        """Return the learned part after the verdict."""
        rest = learned.without(self.episode_id)
        return LearnedPart(
            (*rest.suppressions, *([self.suppression] if self.suppression else [])),
            (*rest.windows, *([self.window] if self.window else [])),
        )

    def to_plain(self) -> dict[str, Any]:
        """Return the fields of the audit entry."""
        return {
            "episode": self.episode_id,
            "suppression": msgspec.to_builtins(self.suppression),
            "window": msgspec.to_builtins(self.window),
        }


def learned_from_audit(entries: Iterable[AuditEntry]) -> LearnedPart:
    """Return the learned part that all verdicts in an audit log give together."""
    learned = LearnedPart()
    for entry in entries:
        if entry.action is Action.VERDICT:
            learned = _learned_of(entry).added_to(learned)
    return learned


def _learned_of(entry: AuditEntry) -> Learned:
    detail = entry.detail
    return Learned(
        str(detail.get("episode")),
        msgspec.convert(detail.get("suppression"), LearnedSuppression | None),
        msgspec.convert(detail.get("window"), Window | None),
    )
