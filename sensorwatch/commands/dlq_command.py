"""The command `sensorwatch dlq`: list dead letters, show one, and replay them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.console_table import print_table
from sensorwatch.common.errors import CheckFailed, DataError, UsageError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_json, print_line, print_note
from sensorwatch.common.runtime.time_option import parse_age_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sensorwatch.common.runtime.setting_keys import Settings
    from sensorwatch.dlq.fix_program import FixProgram
    from sensorwatch.dlq.letters import DeadLetter
    from sensorwatch.dlq.replay import ReplayReport, ReplayRequest
    from sensorwatch.dlq.replay_connection import DeadLetterTopic
    from sensorwatch.dlq.selection import LetterSelection

app = typer_app(help="List dead letters, show one, and replay them.", no_args_is_help=True)
MAX_ATTEMPTS = 3

WhereOption = Annotated[
    list[str] | None,
    typer.Option(
        "--where",
        metavar="FIELD=PATTERN",
        help="Shell pattern of reason, message, stage, group, topic or id (repeatable).",
        show_default=False,
    ),
]
HeaderOption = Annotated[
    list[str] | None,
    typer.Option(
        "--header",
        metavar="NAME=PATTERN",
        help="Shell pattern of a header (repeatable).",
        show_default=False,
    ),
]
SensorOption = Annotated[str, typer.Option("--sensor", help="Shell pattern of the key.")]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Earliest time of the rejection: RFC 3339, or an age such as 2h or 7d.",
        show_default=False,
    ),
]
MaxAttemptsOption = Annotated[
    int,
    typer.Option(
        "--max-attempts", min=1, help="A record is replayed at most this number of times."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_letters(
    where: WhereOption = None,
    header: HeaderOption = None,
    sensor: SensorOption = "*",
    since: SinceOption = None,
    max_attempts: MaxAttemptsOption = MAX_ATTEMPTS,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """List the reasons of the dead letters: how many, since when, and an example of each.

    Example: sensorwatch dlq list --since 1d
    """
    from sensorwatch.dlq.letter_state import ReplayRules, letter_state
    from sensorwatch.dlq.letter_text import REASON_COLUMNS, reason_cells, reason_values
    from sensorwatch.dlq.reasons import summarize_reasons

    selection = _selection(where, header, sensor, since)
    topic = _dead_letter_topic(_settings(config))
    log, rules = topic.log(), ReplayRules(max_attempts)
    summaries = summarize_reasons(
        filter(selection.selects, topic.letters()),
        lambda letter: letter_state(letter, log, rules),
    )
    if as_json:
        for summary in summaries:
            print_json(reason_values(summary))
    elif summaries:
        print_table(REASON_COLUMNS, map(reason_cells, summaries), unbroken_column="reason")
    else:
        print_note(f'the topic "{topic.name}" has no such dead letter')


@app.command("show")
def show_letter(
    position: Annotated[
        str,
        typer.Argument(
            metavar="ID",
            help="PARTITION:OFFSET in the dead-letter topic, or the id of the rejected record.",
        ),
    ],
    complete: Annotated[
        bool, typer.Option("--complete", help="Show all bytes of a long value.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the bytes of the value to this new file.", show_default=False),
    ] = None,
    max_attempts: MaxAttemptsOption = MAX_ATTEMPTS,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Show a dead letter: reason, origin, headers and value. Control characters are escaped.

    Example: sensorwatch dlq show 0:7
    """
    from sensorwatch.dlq.letter_state import ReplayRules, letter_state
    from sensorwatch.dlq.letter_text import letter_lines, letter_values

    topic = _dead_letter_topic(_settings(config))
    letter = _find_letter(topic, position)
    state = letter_state(letter, topic.log(), ReplayRules(max_attempts))
    if out is not None:
        _write_new_file(out, letter.value or b"")
    if as_json:
        print_json(letter_values(letter, state))
        return
    for line in letter_lines(letter, state, is_complete=complete):
        print_line(line)


@app.command("replay")
def replay(
    where: WhereOption = None,
    header: HeaderOption = None,
    sensor: SensorOption = "*",
    since: SinceOption = None,
    max_attempts: MaxAttemptsOption = MAX_ATTEMPTS,
    maximum: Annotated[
        int | None,
        typer.Option(
            "--max", min=1, help="Replay at most this number of dead letters.", show_default=False
        ),
    ] = None,
    include_partial: Annotated[
        bool,
        typer.Option(
            "--include-partial",
            help="Also replay records of which other rows were scored; these are scored again.",
        ),
    ] = False,
    fix: Annotated[
        Path | None,
        typer.Option(
            metavar="PROGRAM",
            help="A program that reads the value on standard input and writes the corrected one.",
            show_default=False,
        ),
    ] = None,
    fix_seconds: Annotated[
        float, typer.Option(min=0.1, max=60, help="Time limit of that program for each letter.")
    ] = 10.0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be replayed, and write nothing.")
    ] = False,
    as_json: JsonOption = False,
    config: ConfigOption = None,
) -> None:
    """Send dead letters to the input topic again, each of them once.

    Correct the schema or the consumer first. A killed replay continues if it is started again. The
    exit code is 1 if a dead letter was not corrected by --fix, or is too large.

    Example: sensorwatch dlq replay --where reason=missing_field --dry-run
    """
    from sensorwatch.dlq.fix_program import FixProgram
    from sensorwatch.dlq.letter_state import ReplayRules
    from sensorwatch.dlq.letter_text import report_lines, report_values
    from sensorwatch.dlq.replay import ReplayRequest

    settings = _settings(config)
    rules = ReplayRules(max_attempts, include_partial=include_partial, has_fix=fix is not None)
    request = ReplayRequest(_selection(where, header, sensor, since), rules, maximum)
    program = None if fix is None else FixProgram(fix, seconds=fix_seconds)
    report = _run_replay(settings, request, program, is_dry_run=dry_run)
    readings = settings.topics.readings
    if as_json:
        print_json(report_values(report, readings, is_dry_run=dry_run))
    else:
        for line in report_lines(report, readings, is_dry_run=dry_run):
            print_line(line)
    if report.refused:
        raise CheckFailed(f"{report.refused} dead letters cannot be sent, and stay as they are")


def _run_replay(
    settings: Settings, request: ReplayRequest, program: FixProgram | None, *, is_dry_run: bool
) -> ReplayReport:
    from sensorwatch.dlq.replay import replay_letters
    from sensorwatch.dlq.replay_connection import (
        dry_run_ports,
        input_topic,
        record_maker,
        replay_ports,
    )

    dead_letters = _dead_letter_topic(settings)
    prepare = record_maker(input_topic(settings), program)
    if is_dry_run:
        return replay_letters(request, dry_run_ports(dead_letters, prepare))
    with replay_ports(settings, dead_letters, prepare) as ports:
        return replay_letters(request, ports)


def _settings(config: Path | None) -> Settings:
    from sensorwatch.common.runtime.logs import configure
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config).settings
    configure(settings.log.format, settings.log.level)
    return settings


def _dead_letter_topic(settings: Settings) -> DeadLetterTopic:
    from sensorwatch.dlq.replay_connection import dead_letter_topic

    return dead_letter_topic(settings)


def _selection(
    where: Sequence[str] | None, header: Sequence[str] | None, sensor: str, since: str | None
) -> LetterSelection:
    from sensorwatch.dlq.selection import letter_selection

    return letter_selection(
        where=where or [],
        headers=header or [],
        sensor=sensor,
        since=None if since is None else parse_age_option("--since", since),
    )


def _find_letter(topic: DeadLetterTopic, position: str) -> DeadLetter:
    """Return the dead letter with a position or an id. Raises DataError if there is none."""
    for letter in topic.letters():
        if position in (letter.position, letter.id):
            return letter
    raise DataError(
        f'the topic "{topic.name}" has no dead letter "{position}": wanted PARTITION:OFFSET or the '
        "id of a record, as `sensorwatch dlq list --json` prints them"
    )


def _write_new_file(out: Path, content: bytes) -> None:
    try:
        with out.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error
