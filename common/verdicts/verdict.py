"""A verdict: what a person says about an episode."""

from enum import StrEnum
from typing import Any

import msgspec

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.calendar_intervals import to_microseconds
from sensorwatch.common.rows.instants import format_instant

MAX_NOTE = 2_000
"""Largest number of characters of a note."""
MAX_WHO = 200
VERDICT_SCHEMA_VERSION = 1


class Verdict(StrEnum):
    """What a person says about an episode."""

    TRUE = "true"
    """The alarm was right: something was wrong."""
    FALSE = "false"
    """Nothing was wrong."""
    EXPECTED = "expected"
    """The values were unusual, but for a known and harmless reason."""
    UNDONE = "undone"
    """The earlier verdict no longer counts."""


class VerdictSource(StrEnum):
    """Where a verdict was given."""

    COMMAND = "command"
    PAGE = "page"
    ALERTMANAGER = "alertmanager"


class VerdictRecord(msgspec.Struct, frozen=True, kw_only=True):
    """The newest verdict on an episode, as the verdict topic has it. Times are RFC 3339, UTC.

    The facts about the episode are those at the time of the verdict. They are stored because the
    events of the episode are deleted at the end of their retention time.
    """

    schema_version: int = VERDICT_SCHEMA_VERSION
    episode_id: str
    verdict: Verdict
    when: str
    who: str
    note: str
    source: VerdictSource
    sensor_id: str
    group: str
    begin: str
    end: str | None
    """Time of the last anomalous row; null if the episode was open."""
    severity: str
    signal: str
    """The leading signal; empty if no event of the episode had signals."""
    pattern: str
    model_version: str
    policy: str = ""
    """The policy in force after the verdict; empty if there is none."""

    @property
    def counts(self) -> bool:
        """Return whether the verdict was not undone."""
        return self.verdict is not Verdict.UNDONE

    def to_bytes(self) -> bytes:
        """Return the record as JSON."""
        return msgspec.json.encode(self)

    def to_plain(self) -> dict[str, Any]:
        """Return the record as plain JSON values."""
        plain: dict[str, Any] = msgspec.to_builtins(self)
        return plain


_DECODER = msgspec.json.Decoder(VerdictRecord)


def read_verdict(value: bytes) -> VerdictRecord | None:
    """Return the record in the value of a Kafka record; None if it is not a verdict."""
    try:
        return _DECODER.decode(value)
    except (ValueError, RecursionError):
        return None


def verdict_of(
    episode: EpisodeState,
    verdict: Verdict,
    *,
    when: int,
    who: str,
    note: str,
    source: VerdictSource,
) -> VerdictRecord:
    """Return the verdict on an episode; `when`: microseconds UTC.

    Raises UsageError if the note or the name of the user is too long.
    """
    require_short_texts(who, note)
    leading = episode.excursion.leading
    return VerdictRecord(
        episode_id=episode.id,
        verdict=verdict,
        when=format_instant(when),
        who=who,
        note=note.strip(),
        source=source,
        sensor_id=episode.sensor_id,
        group=episode.group,
        begin=format_instant(to_microseconds(episode.begin)),
        end=None if episode.end is None else format_instant(to_microseconds(episode.end)),
        severity=episode.severity,
        signal="" if leading is None else leading.name,
        pattern=episode.pattern,
        model_version=episode.model_version,
    )


def require_short_texts(who: str, note: str) -> None:
    """Raise UsageError if the note or the name of the user is too long."""
    for label, text, limit in (("note", note, MAX_NOTE), ("user", who, MAX_WHO)):
        if len(text) > limit:
            raise UsageError(f"the {label} has {len(text)} characters, wanted at most {limit}")
