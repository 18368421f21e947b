"""Silences of Alertmanager whose comment is a verdict, and the incident that they concern."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from sensorwatch.common.alarms.events import event_instant
from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.verdicts.verdict import MAX_NOTE, MAX_WHO, Verdict

ACTIVE, EXPIRED = "active", "expired"
IDENTITY_LABELS = ("sensor", "group")
"""A silence concerns one alert only if it names the value of one of these labels."""
MAX_DELAY = timedelta(days=1)
"""A silence concerns an incident that ended at most this time before the begin of the silence."""
_VERDICT_WORD = re.compile(r"\s*(true|false|expected)\b", re.IGNORECASE)


class _Matcher(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Status(msgspec.Struct, frozen=True):
    state: str


class _Silence(msgspec.Struct, frozen=True, rename="camel"):
    id: str
    status: _Status
    comment: str
    created_by: str
    starts_at: str
    ends_at: str
    updated_at: str
    matchers: list[_Matcher]


@dataclass(frozen=True, slots=True)
class Silence:
    """A silence whose comment begins with a verdict."""

    id: str
    verdict: Verdict
    who: str
    note: str
    begin: datetime
    given: datetime
    """Time of the verdict: of the newest change while the silence is active, else its begin."""
    matchers: Sequence[_Matcher]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Return whether the silence names one alert, and this alert has these labels."""
        names_alert = any(
            matcher.name in IDENTITY_LABELS and matcher.is_equal for matcher in self.matchers
        )
        return names_alert and all(_is_met(matcher, labels) for matcher in self.matchers)


def verdict_silences(answer: bytes) -> list[Silence]:
    """Return the silences of an answer of `/api/v2/silences` whose comment begins with a verdict.

    Raises ValueError if the answer is not a list of silences.
    """
    silences = (_silence(silence) for silence in _DECODER.decode(answer))
    return [silence for silence in silences if silence is not None]


def silenced_incident(
    silence: Silence, incidents: Iterable[tuple[Mapping[str, str], Incident]]
) -> Incident | None:
    """Return the incident that a person saw when the silence was written; None if there is none.

    It is the newest one with matching labels that had begun before the verdict, and that was open
    at the begin of the silence, or had ended at most MAX_DELAY before.
    """
    candidates = [
        incident
        for labels, incident in incidents
        if silence.matches(labels)
        and incident.begin <= silence.given
        and (incident.end is None or incident.end >= silence.begin - MAX_DELAY)
    ]
    return max(candidates, key=lambda incident: incident.begin, default=None)


_DECODER = msgspec.json.Decoder(list[_Silence])


def _silence(silence: _Silence) -> Silence | None:
    word = _VERDICT_WORD.match(silence.comment)
    if word is None or silence.status.state not in (ACTIVE, EXPIRED):
        return None
    begin = event_instant(silence.starts_at)
    is_active = silence.status.state == ACTIVE
    return Silence(
        silence.id,
        Verdict(word.group(1).lower()),
        silence.created_by[:MAX_WHO] or "alertmanager",
        silence.comment.strip()[:MAX_NOTE],
        begin,
        event_instant(silence.updated_at) if is_active else begin,
        tuple(silence.matchers),
    )


def _is_met(matcher: _Matcher, labels: Mapping[str, str]) -> bool:
    """Return whether labels meet a matcher.

    A silence with a pattern may concern further alerts, so a pattern is never met.
    """
    return not matcher.is_regex and (
        (labels.get(matcher.name, "") == matcher.value) is matcher.is_equal
    )
