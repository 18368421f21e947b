"""Gives a verdict: audit log, next policy, and the record in the topic."""

from contextlib import closing
from dataclasses import dataclass

import msgspec

from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.declarations import PAST_DAYS
from sensorwatch.common.registry.learned_history import Learned
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.verdict_settings import Scope
from sensorwatch.common.verdicts.learning import LearningRule, learn
from sensorwatch.common.verdicts.verdict import (
    Verdict,
    VerdictRecord,
    VerdictSource,
    require_short_texts,
    verdict_of,
)
from sensorwatch.common.verdicts.verdict_topic import VerdictWriter

DAY = 86_400_000_000
"""Microseconds of a day."""


@dataclass(frozen=True, slots=True)
class NewVerdict:
    """A verdict that a person gives."""

    verdict: Verdict
    who: str
    source: VerdictSource
    note: str = ""
    scope: Scope | None = None
    """None: the setting `[verdicts] scope`."""
    days: float | None = None
    """Days until the suppression expires; None: the setting `[verdicts] expire_days`."""
    window: tuple[int, int] | None = None
    """Begin and end of a planned window, microseconds UTC."""


@dataclass(frozen=True, slots=True)
class GivenVerdict:
    """A verdict that was stored, and what the policy learned from it."""

    record: VerdictRecord
    learned: Learned


def give_verdict(
    settings: Settings, episode: EpisodeState, new: NewVerdict, *, now: int
) -> GivenVerdict:
    """Store a verdict in the audit log, in the policy and in the verdict topic, in this order.

    The first two change under the registry's lock. `now`: microseconds UTC. Raises UsageError if
    the verdict is not valid, ModelRefused if the policy is damaged, and BrokerUnavailable if the
    broker does not store the verdict; then giving the same verdict again completes it.
    """
    if new.window is not None and new.verdict is not Verdict.EXPECTED:
        raise UsageError('a window belongs to the verdict "expected"')
    if new.window is not None and new.window[0] >= new.window[1]:
        raise UsageError("the window ends before it begins: give BEGIN..END")
    record = verdict_of(
        episode, new.verdict, when=now, who=new.who, note=new.note, source=new.source
    )
    learned = learn(episode, new.verdict, _learning_rule(settings, new, now), new.window)
    return _store(settings, record, learned, now)


def undo_verdict(
    settings: Settings,
    record: VerdictRecord,
    *,
    who: str,
    note: str,
    source: VerdictSource,
    now: int,
) -> GivenVerdict:
    """Undo a verdict, and remove what the policy learned from it; raises as `give_verdict`."""
    undone_record = msgspec.structs.replace(
        record,
        verdict=Verdict.UNDONE,
        when=format_instant(now),
        who=who,
        note=note.strip(),
        source=source,
    )
    require_short_texts(who, note)
    return _store(settings, undone_record, Learned(record.episode_id), now)


def _store(settings: Settings, record: VerdictRecord, learned: Learned, now: int) -> GivenVerdict:
    registry_path = settings.registry.path
    if not registry_path.is_dir():
        raise UsageError(
            f"there is no registry {registry_path}, so no worker would follow the verdict: correct "
            "[registry] path"
        )
    with closing(VerdictWriter(settings.kafka, settings.verdicts_topic)) as writer:
        policies = PolicyRegistry(registry_path, settings.registry.model)

        def publish(policy_id: str) -> None:
            nonlocal record
            record = msgspec.structs.replace(record, policy=policy_id)
            writer.write(record)

        policies.learn(
            learned,
            who=record.who,
            why=record.note or f"verdict {record.verdict}",
            earliest=now - PAST_DAYS * DAY,
            detail={"verdict": record.to_plain()},
            then=publish,
        )
    return GivenVerdict(record, learned)


def _learning_rule(settings: Settings, new: NewVerdict, now: int) -> LearningRule:
    days = settings.verdicts.expire_days if new.days is None else new.days
    scope = new.scope or settings.verdicts.scope
    return LearningRule(
        covers_group=scope is Scope.GROUP,
        tolerance=settings.verdicts.tolerance,
        expires=now + int(days * DAY),
    )
