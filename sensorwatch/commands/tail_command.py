"""`sensorwatch tail`: follow the anomaly topic, for people or for pipes."""

import sys
from collections.abc import Callable
from itertools import chain, islice
from typing import Annotated

import typer
from confluent_kafka import Message
from rich.console import Console
from rich.text import Text

from sensorwatch.commands.topic_follower import StartAt, follow_topics
from sensorwatch.common.kafka.records import coordinates
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure, kafka_logger
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.event_line import line_of, read_event


def tail(
    as_json: Annotated[
        bool, typer.Option("--json", help="One event a line, as it is in the topic.")
    ] = False,
    from_beginning: Annotated[
        bool, typer.Option("--from-beginning", help="All there are first, not only new ones.")
    ] = False,
    maximum: Annotated[
        int | None,
        typer.Option("--max", min=1, help="End after so many.", show_default=False),
    ] = None,
    topic: Annotated[
        str | None,
        typer.Option(help="Else topics.anomalies of the configuration.", show_default=False),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Follow the anomaly events until Ctrl-C: when, which sensor, how bad, what was unusual.

    The end of an episode is an event too. `--json` gives the values; which of the two one is says
    the field `episode_id`, which only an episode's end has.
    """
    settings = load_settings(config, overrides={"topics.anomalies": topic}).settings
    configure(settings.log.format, settings.log.level)
    batches = follow_topics(
        settings.kafka,
        [settings.topics.anomalies],
        begin=StartAt.BEGINNING if from_beginning else StartAt.NOW,
        logger=kafka_logger(),
    )
    show = _show_json if as_json else _text_printer()
    for message in islice(chain.from_iterable(batches), maximum):
        show(message)


def _show_json(message: Message) -> None:
    value = message.value() or b"null"
    # Events have no line breaks; what somebody else wrote must not take two lines either.
    sys.stdout.buffer.write(b" ".join(value.splitlines()) + b"\n")
    sys.stdout.buffer.flush()


def _text_printer() -> Callable[[Message], None]:
    console = Console(highlight=False, soft_wrap=True)

    def show(message: Message) -> None:
        event = read_event(message)
        if event is None:
            console.print(Text(f"{coordinates(message)} is no anomaly event", style="dim"))
        else:
            console.print(Text.assemble(*line_of(event)))

    return show
