"""A policy: immutable rules and calendar, identified by their content."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property

import msgspec

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.learned import LEARNED_PREFIX, LearnedPart
from sensorwatch.common.policy.rules import Rule, SilenceLimit, Window
from sensorwatch.common.policy.sensor_rules import SensorRules

POLICY_FORMAT = 2
"""Newest format. A policy without limits of silence and without a learned part has format 1, so its
id is the same as before format 2."""
FILE_FORMAT = 1
"""The format of a policy without limits of silence and without a learned part."""
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
    learned: LearnedPart | msgspec.UnsetType = msgspec.UNSET
    """What verdicts added to the rules and windows of the file; not set if there is nothing."""


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
    def learned(self) -> LearnedPart:
        """What verdicts added to the rules and windows of the file."""
        learned = self.content.learned
        return NOTHING_LEARNED if learned is msgspec.UNSET else learned

    @cached_property
    def windows(self) -> tuple[Window, ...]:
        """The calendar windows, in the order of the file, then the planned ones of verdicts."""
        return self.content.windows + self.learned.windows

    @property
    def silences(self) -> tuple[SilenceLimit, ...]:
        """The limits of silence, in the order of the file; the first one that matches applies."""
        silences = self.content.silences
        return () if isinstance(silences, msgspec.UnsetType) else silences

    @cached_property
    def names_by_key(self) -> dict[int, str]:
        """The name of each rule, window and learned suppression, by each of its numbers."""
        names = {rule.key: rule.name for rule in self.rules}
        names |= {rule.waiting_key: rule.name for rule in self.rules}
        names |= {entry.key: entry.name for entry in self.learned.suppressions}
        return names | {window.key: window.name for window in self.windows}

    @property
    def labels(self) -> list[str]:
        """The values of the label `rule` in metrics; see `label_of`."""
        return list(dict.fromkeys(map(_label, self.names_by_key.values())))

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

    def label_of(self, key: int) -> str:
        """Return the value of the label `rule` in metrics.

        It is VERDICTS for everything that verdicts added, because there may be many of them.
        """
        return _label(self.name_of(key))

    def with_learned(self, learned: LearnedPart) -> "AlarmPolicy":
        """Return the policy with the same rules and windows of the file, and this learned part."""
        has_learned = len(learned) > 0
        content = msgspec.structs.replace(
            self.content,
            format=format_of(has_silences=bool(self.silences), has_learned=has_learned),
            learned=learned if has_learned else msgspec.UNSET,
        )
        return AlarmPolicy(content)

    def to_bytes(self) -> bytes:
        """Return the content as canonical JSON: equal policies give equal bytes."""
        return msgspec.json.encode(self.content)


def format_of(*, has_silences: bool, has_learned: bool) -> int:
    """Return the format of a policy."""
    return POLICY_FORMAT if has_silences or has_learned else FILE_FORMAT


NOTHING_LEARNED = LearnedPart()
EMPTY_POLICY = AlarmPolicy(PolicyContent(FILE_FORMAT, (), ()))
"""The policy without rules, which changes nothing."""
REMOVED = "(removed)"
"""Name of a rule or window that is no longer in the policy."""
VERDICTS = "(verdicts)"
"""Metric label of all learned suppressions and planned windows."""


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


def _label(name: str) -> str:
    return VERDICTS if name.startswith(LEARNED_PREFIX) else name


class _FormatOnly(msgspec.Struct, frozen=True):
    format: int
