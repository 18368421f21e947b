"""The command `sensorwatch tail`: print the alarms of the anomaly topic as text or JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure, kafka_logger
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.runtime.time_option import parse_time_option

if TYPE_CHECKING:
    from confluent_kafka import Message

    from sensorwatch.commands.event_selection import EventSelection
    from sensorwatch.commands.tail_output import TailOutput
    from sensorwatch.common.runtime.setting_keys import Settings


def tail(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON of each event on one line.")
    ] = False,
    severity: Annotated[
        SeverityChoice | None,
        typer.Option(
            help="Lowest severity to show. Default: warning, or info with --json.",
            show_default=False,
        ),
    ] = None,
    sensor: Annotated[str, typer.Option(help="Shell pattern of the sensor ids to show.")] = "*",
    since: Annotated[
        str | None,
        typer.Option(
            help="Earliest event time to show, RFC 3339. Begins with the oldest event.",
            show_default=False,
        ),
    ] = None,
    every_row: Annotated[
        bool, typer.Option("--rows", help="Print each event instead of one line per episode.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest event in the topic.")
    ] = False,
    until_end: Annotated[
        bool,
        typer.Option("--until-end", help="Print the events that the topic has now, and end."),
    ] = False,
    maximum: Annotated[
        int | None,
        typer.Option(
            "--max", min=1, help="End after this number of printed lines.", show_default=False
        ),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(
            help="Topic of the events. Default: the setting topics.anomalies.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print alarms until Ctrl-C: time, sensor, severity, score, unusual signals.

    An episode has a new line if its severity rises and if it closes. On a terminal, it has one line
    that changes, and the open and worst episodes come first. In JSON, the events with a field
    `episode_id` close an episode.
    """
    from sensorwatch.commands.event_selection import EventSelection
    from sensorwatch.common.runtime.settings import load_settings
    from sensorwatch.common.scoring.detections import Severity

    default_severity = SeverityChoice.INFO if as_json else SeverityChoice.WARNING
    settings = load_settings(config, overrides={"topics.anomalies": topic}).settings
    configure(settings.log.format, settings.log.level)
    selection = EventSelection(
        Severity(severity or default_severity),
        sensor,
        None if since is None else parse_time_option("--since", since),
    )
    batches = _batches(
        settings, from_beginning=from_beginning or since is not None, until_end=until_end
    )
    output = _output(selection, as_json=as_json, every_row=every_row)
    try:
        with output.screen():
            _show(batches, output, maximum)
    finally:
        output.finish()


def _show(batches: Iterable[list[Message]], output: TailOutput, maximum: int | None) -> None:
    lines = 0
    for messages in batches:
        for message in messages:
            lines += output.show(message)
            if lines == maximum:
                return


def _batches(
    settings: Settings, *, from_beginning: bool, until_end: bool
) -> Iterable[list[Message]]:
    from sensorwatch.common.kafka.topic_follower import StartAt, follow_topics
    from sensorwatch.common.kafka.topic_reader import read_topic_batches

    if until_end:
        return read_topic_batches(settings.kafka, settings.topics.anomalies)
    return follow_topics(
        settings.kafka,
        [settings.topics.anomalies],
        begin=StartAt.BEGINNING if from_beginning else StartAt.NOW,
        logger=kafka_logger(),
    )


def _output(selection: EventSelection, *, as_json: bool, every_row: bool) -> TailOutput:
    from sensorwatch.commands.tail_output import JsonOutput, LineOutput, LiveOutput

    if as_json:
        return JsonOutput(selection)
    if every_row or not sys.stdout.isatty():
        return LineOutput(selection, every_row=every_row)
    return LiveOutput(selection)
