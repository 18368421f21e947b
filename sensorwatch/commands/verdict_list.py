"""The list of all verdicts, with what the policy learned from them."""

import time
from collections.abc import Mapping

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.policy.alarm_policy import NOTHING_LEARNED
from sensorwatch.common.policy.learned import LearnedPart, learned_name
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.printing import print_json, print_note
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.verdicts.verdict import VerdictRecord
from sensorwatch.common.verdicts.verdict_topic import read_verdicts

COLUMNS = ("when", "verdict", "who", "sensor", "severity", "pattern", "learned", "note", "episode")


def list_verdicts(settings: Settings, *, as_json: bool) -> None:
    """Print the newest verdict on each episode, the newest first."""
    records = sorted(
        read_verdicts(settings.kafka, settings.verdicts_topic).values(),
        key=lambda record: record.when,
        reverse=True,
    )
    learned = learned_part(settings)
    states = _learned_states(learned, time.time_ns() // 1_000)
    if as_json:
        for record in records:
            print_json({**record.to_plain(), "learned": _state(states, record)})
        return
    if not records:
        print_note(f'no verdicts in the topic "{settings.verdicts_topic}"')
        return
    print_table(
        COLUMNS,
        (
            (
                record.when,
                record.verdict.value,
                record.who,
                record.sensor_id,
                record.severity,
                record.pattern,
                _state(states, record),
                record.note,
                record.episode_id,
            )
            for record in records
        ),
        unbroken_column="episode",
    )


def learned_part(settings: Settings) -> LearnedPart:
    """Return what verdicts added to the policy in force."""
    policy = PolicyRegistry(settings.registry.path, settings.registry.model).current()
    return NOTHING_LEARNED if policy is None else policy.learned


def _learned_states(learned: LearnedPart, now: int) -> dict[str, str]:
    """Return the state of each learned entry as a short text, by its name."""
    states = {
        entry.name: f"{'until' if entry.expires > now else 'ended'} "
        f"{format_instant(entry.expires)[:10]}"
        for entry in learned.suppressions
    }
    return states | {window.name: "planned window" for window in learned.windows}


def _state(states: Mapping[str, str], record: VerdictRecord) -> str:
    return states.get(learned_name(record.episode_id), "")
