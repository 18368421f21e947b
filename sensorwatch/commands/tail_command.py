"""The command `sensorwatch tail`: print the events of the anomaly topic as text or JSON."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure, kafka_logger
from sensorwatch.common.runtime.printing import print_json_line

if TYPE_CHECKING:
    from confluent_kafka import Message


def tail(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the JSON of each event on one line.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="Begin with the oldest event in the topic.")
    ] = False,
    maximum: Annotated[
        int | None,
        typer.Option("--max", min=1, help="End after this number of events.", show_default=False),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(
            help="Topic of the events. Default: the setting topics.anomalies.", show_default=False
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Print new anomaly events until Ctrl-C: time, sensor, severity, score, unusual signals.

    Events that close an episode are printed, too. In JSON, they are the events with a field
    `episode_id`.
    """
    from sensorwatch.commands.topic_follower import StartAt, follow_topics
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config, overrides={"topics.anomalies": topic}).settings
    configure(settings.log.format, settings.log.level)
    batches = follow_topics(
        settings.kafka,
        [settings.topics.anomalies],
        begin=StartAt.BEGINNING if from_beginning else StartAt.NOW,
        logger=kafka_logger(),
    )
    show = _print_value if as_json else _event_printer()
    for message in islice(chain.from_iterable(batches), maximum):
        show(message)


def _print_value(message: Message) -> None:
    print_json_line(message.value() or b"null")


def _event_printer() -> Callable[[Message], None]:
    from sensorwatch.commands.event_line import line_parts, read_event
    from sensorwatch.common.kafka.records import coordinates
    from sensorwatch.common.runtime.console import SafeConsole, styled

    console = SafeConsole()

    def show(message: Message) -> None:
        event = read_event(message)
        if event is None:
            line = styled((f"{coordinates(message)} is not an anomaly event", "dim"))
        else:
            line = styled(*line_parts(event))
        console.print(line, soft_wrap=True)

    return show
