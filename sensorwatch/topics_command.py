"""`sensorwatch topics`: create the topics, and check that they are there."""

from typing import Annotated

import typer

from common.messaging.topics import create_topics, require_topics, topic_plans
from common.runtime.command_line import ConfigOption, typer_app
from common.runtime.settings import Settings, load_settings

app = typer_app(no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Create and check the topics."""


@app.command()
def create(
    partitions: Annotated[
        int, typer.Option(min=1, max=10_000, help="Of readings, anomalies and dead letters.")
    ] = 4,
    replication: Annotated[int, typer.Option(min=1, max=32, help="Copies of each.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Create the topics of readings, anomalies, dead letters and the ledger."""
    settings = load_settings(config).settings
    named = {**settings.topics.model_dump(), "ledger": settings.ledger_topic}
    plans = topic_plans(**named, partitions=partitions)
    made = create_topics(settings.kafka, plans, replication=replication)
    for name, outcome in made.items():
        print(f"{name}: {outcome}")


@app.command()
def check(config: ConfigOption = None) -> None:
    """Check that every topic is there and say how many partitions it has."""
    settings = load_settings(config).settings
    for name, partitions in require_topics(settings.kafka, _names(settings)).items():
        print(f"{name}: {partitions} partition{'s' if partitions > 1 else ''}")


def _names(settings: Settings) -> list[str]:
    topics = settings.topics
    return [topics.readings, topics.anomalies, topics.dead_letters, settings.ledger_topic]
