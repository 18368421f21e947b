"""A policy: immutable rules and calendar, identified by their content."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import msgspec

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.rules import Rule, SilenceLimit, Window
from sensorwatch.common.policy.sensor_rules import SensorRules

POLICY_FORMAT = 2
"""Newest format of a policy. Only policies with limits of silence have format 2."""
_ID = re.compile(r"policy-[0-9a-f]{16}")


class PolicyContent(msgspec.Struct, frozen=True):
    """The content of a policy, as the registry stores it."""

    format: int
    rules: tuple[Rule, ...]
    windows: tuple[Window, ...]
    calendar_begin: int | None = None
    """Time from which recurring windows are expanded, microseconds UTC; None if there are none."""
    calendar_end: int | None = None
    """Time up to which recurring windows are expanded, microseconds UTC; None if there are none.

    After this time the recurring windows no longer have an effect.
    """
    silences: tuple[SilenceLimit, ...] | msgspec.UnsetType = msgspec.UNSET
    """Absent if the policy has none, so that the ids of older policies stay the same."""


@dataclass(frozen=True)
class AlarmPolicy:
    """The rules and the calendar that decide which anomalous rows are alarms."""

    content: PolicyContent

    @cached_property
    def id(self) -> str:
        """The id: `policy-` and 16 hex digits of the SHA-256 of the content."""
        return f"policy-{hashlib.sha256(self.to_bytes()).hexdigest()[:16]}"

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules, in the order of the file."""
        return self.content.rules

    @property
    def windows(self) -> tuple[Window, ...]:
        """The calendar windows, in the order of the file."""
        return self.content.windows

    @property
    def silences(self) -> tuple[SilenceLimit, ...]:
        """The limits of silence, in the order of the file; the first one that matches applies."""
        silences = self.content.silences
        return () if isinstance(silences, msgspec.UnsetType) else silences

    @cached_property
    def names_by_key(self) -> dict[int, str]:
        """The name of each rule and window, by each of its numbers."""
        names = {rule.key: rule.name for rule in self.rules}
        names |= {rule.waiting_key: rule.name for rule in self.rules}
        return names | {window.key: window.name for window in self.windows}

    @cached_property
    def sensor_rules(self) -> SensorRules:
        """The object that finds the rules, windows and limits of a sensor, and keeps its results.

        Its globs are those of the rules, then of the windows, then of the limits of silence.
        """
        globs = [rule.sensor for rule in self.rules] + [w.sensor for w in self.windows]
        return SensorRules(globs + [silence.sensor for silence in self.silences])

    def name_of(self, key: int) -> str:
        """Return the name of a rule or window; empty for 0.

        An open episode may name a rule that a newer policy no longer has. Then the result is
        `(removed)`.
        """
        return self.names_by_key.get(key, REMOVED) if key else ""

    def to_bytes(self) -> bytes:
        """Return the content as canonical JSON: equal policies give equal bytes."""
        return msgspec.json.encode(self.content)


REMOVED = "(removed)"
"""Name of a rule or window that is no longer in the policy."""


def is_policy_id(text: str) -> bool:
    """Return whether a text has the form of a policy id."""
    return _ID.fullmatch(text) is not None


def policy_from_bytes(content: bytes, policy_id: str) -> AlarmPolicy:
    """Return the stored policy `policy_id`.

    Raises ModelRefused if the content is damaged, belongs to another id, or has a newer format.
    """
    try:
        stored_format = msgspec.json.decode(content, type=_FormatOnly).format
        if stored_format > POLICY_FORMAT:
            raise ModelRefused(
                f"the policy {policy_id} has format {stored_format}, but this program reads "
                f"formats up to {POLICY_FORMAT}: run the newer sensorwatch that wrote it"
            )
        policy = AlarmPolicy(msgspec.json.decode(content, type=PolicyContent))
    except (ValueError, RecursionError) as error:
        raise ModelRefused(
            f"the policy {policy_id} is damaged: {error}; store it again with `sensorwatch rules "
            "apply FILE`"
        ) from error
    if policy.id != policy_id:
        raise ModelRefused(
            f"the policy {policy_id} is damaged: its content belongs to {policy.id}; store it "
            "again with `sensorwatch rules apply FILE`"
        )
    return policy


class _FormatOnly(msgspec.Struct, frozen=True):
    format: int
