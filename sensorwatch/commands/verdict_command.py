"""The command `sensorwatch verdict`: say whether an alarm was right, and list the verdicts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.printing import print_json, print_line, print_note
from sensorwatch.common.runtime.time_option import parse_time_option
from sensorwatch.common.runtime.verdict_settings import Scope

if TYPE_CHECKING:
    from sensorwatch.common.alarms.episode_states import EpisodeState
    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.common.verdicts.giving import GivenVerdict
    from sensorwatch.common.verdicts.verdict import VerdictRecord

LIST = "list"
"""The word that lists verdicts, in place of an episode."""


class VerdictWord(StrEnum):
    """The words that the command accepts as a verdict."""

    TRUE = "true"
    FALSE = "false"
    EXPECTED = "expected"
    UNDO = "undo"


def verdict(
    episode: Annotated[
        str,
        typer.Argument(
            metavar="EPISODE",
            help='The id of an episode, the begin of its id, or the id of an event; or "list".',
        ),
    ],
    word: Annotated[
        VerdictWord | None,
        typer.Argument(
            metavar="VERDICT",
            help="true: the alarm was right; false: nothing was wrong; expected: unusual, but "
            "harmless; undo: the earlier verdict no longer counts.",
            show_default=False,
        ),
    ] = None,
    note: Annotated[str, typer.Option("--note", help="The reason.", show_default=False)] = "",
    who: Annotated[
        str | None,
        typer.Option("--who", help="The user. Default: the user of this shell."),
    ] = None,
    scope: Annotated[
        Scope | None,
        typer.Option(
            "--scope",
            help="Learn for the sensor or for its group. Default: [verdicts] scope.",
            show_default=False,
        ),
    ] = None,
    days: Annotated[
        float | None,
        typer.Option(
            "--days",
            min=0.001,
            max=3_650,
            help="Days until the suppression ends. Default: [verdicts] expire_days.",
            show_default=False,
        ),
    ] = None,
    window: Annotated[
        str | None,
        typer.Option(
            "--window",
            metavar="BEGIN..END",
            help='With "expected": plan a window of the calendar for the sensor (two RFC 3339 '
            "times), in place of a suppression.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Say whether an alarm was right.

    After "false" and "expected", the next policy suppresses similar excursions for some time.
    Running workers adopt it within a minute. `sensorwatch verdict list` lists all verdicts.
    """
    settings = _settings(config)
    if word is None:
        if episode != LIST:
            raise UsageError(
                "the verdict is missing: give true, false, expected or undo after the episode"
            )
        from sensorwatch.commands.verdict_list import list_verdicts

        list_verdicts(settings, as_json=as_json)
        return
    given = _give(settings, episode, word, _Options(note, who, scope, days, window))
    if as_json:
        print_json({"verdict": given.record.to_plain(), "learned": given.learned.to_plain()})
    else:
        _print_given(given, _rule_lines(settings, given.record.episode_id))


@dataclass(frozen=True, slots=True)
class _Options:
    """The options of a verdict, as the user gave them."""

    note: str
    who: str | None
    scope: Scope | None
    days: float | None
    window: str | None


def _give(settings: Settings, text: str, word: VerdictWord, options: _Options) -> GivenVerdict:
    from sensorwatch.common.registry.model_names import current_user
    from sensorwatch.common.verdicts.giving import NewVerdict, give_verdict, undo_verdict
    from sensorwatch.common.verdicts.verdict import Verdict, VerdictSource

    who, now = options.who or current_user(), time.time_ns() // 1_000
    if word is VerdictWord.UNDO:
        record = _find_record(settings, text)
        return undo_verdict(
            settings, record, who=who, note=options.note, source=VerdictSource.COMMAND, now=now
        )
    new = NewVerdict(
        Verdict(word.value),
        who,
        VerdictSource.COMMAND,
        options.note,
        options.scope,
        options.days,
        None if options.window is None else _parse_window(options.window),
    )
    return give_verdict(settings, _find_episode(settings, text), new, now=now)


def _find_record(settings: Settings, text: str) -> VerdictRecord:
    """Return the verdict to undo; the topic of events may no longer have the episode."""
    from sensorwatch.common.verdicts.verdict_topic import read_verdicts

    records = read_verdicts(settings.kafka, settings.verdicts_topic)
    matches = [records[text]] if text in records else []
    matches = matches or [r for r in records.values() if r.episode_id.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    raise UsageError(
        f'{len(matches)} verdicts have an episode whose id begins with "{text}", wanted one: '
        "`sensorwatch verdict list` lists the verdicts"
    )


def _find_episode(settings: Settings, text: str) -> EpisodeState:
    from sensorwatch.episodes.episode_search import read_episode_events

    return read_episode_events(settings.kafka, settings.topics.anomalies, text).find()


def _parse_window(text: str) -> tuple[int, int]:
    begin, separator, end = text.partition("..")
    if not separator:
        raise UsageError(f'--window "{text}": wanted BEGIN..END, two RFC 3339 times')
    return parse_time_option("--window", begin), parse_time_option("--window", end)


def _print_given(given: GivenVerdict, rule_lines: list[str]) -> None:
    record, learned = given.record, given.learned
    print_line(f"{record.episode_id} of {record.sensor_id}: {record.verdict} (by {record.who})")
    for line in rule_lines:
        print_line(line)
    if learned.suppression is None and learned.window is None:
        if record.verdict in ("false", "expected"):
            print_note(
                "nothing is suppressed: the topic has no event of the episode with its signals"
            )
        return
    if learned.suppression is not None and learned.suppression.max_rows is None:
        print_note(
            "the episode is still open, so the suppression does not limit the number of rows: give "
            "the verdict again after the end of the episode"
        )
    print_note(f"policy@current is {record.policy}; running workers adopt it within a minute")


def _rule_lines(settings: Settings, episode_id: str) -> list[str]:
    from sensorwatch.commands.verdict_list import learned_part
    from sensorwatch.common.policy.learned import LearnedPart
    from sensorwatch.common.policy.plain_words import describe_learned

    learned = learned_part(settings)
    own_entries = LearnedPart(
        tuple(entry for entry in learned.suppressions if entry.episode_id == episode_id)
    )
    return describe_learned(own_entries, time.time_ns() // 1_000)


def _settings(config: Path | None) -> Settings:
    from sensorwatch.common.runtime.settings import load_settings

    return load_settings(config).settings
