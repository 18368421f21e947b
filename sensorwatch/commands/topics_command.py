"""`sensorwatch topics`: create the topics, and check that they are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.rejection_report import RejectionReport
from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_line, print_note

if TYPE_CHECKING:
    from confluent_kafka import Message

    from sensorwatch.common.kafka.topics import TopicStatus
    from sensorwatch.common.runtime.settings import Settings

app = typer_app(no_args_is_help=True)


@app.callback()
def topics() -> None:
    """Create and check the topics."""


@app.command()
def create(
    partitions: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Of readings, anomalies, dead letters and state."),
    ] = 4,
    replication: Annotated[int, typer.Option(min=1, max=32, help="Copies of each.")] = 1,
    config: ConfigOption = None,
) -> None:
    """Create what is missing of the topics of readings, anomalies, dead letters, ledger and state.

    The state has as many partitions as the readings, also where those were there before.
    """
    from sensorwatch.common.kafka.topics import create_topics, topic_plans
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config).settings
    topic_names = {
        **settings.topics.model_dump(),
        "ledger": settings.ledger_topic,
        "state": settings.state_topic,
    }
    plans = topic_plans(**topic_names, partitions=partitions)
    statuses = create_topics(settings.kafka, plans, replication=replication)
    for line in created_lines(statuses, settings.topics.readings):
        print_line(line)
    path = settings.schema_.path
    if not path.exists():
        print_note(
            f"warning: there is no schema {path}, which `train` and `topics check` will need: "
            "write it with `sensorwatch schema infer FILE`, or correct [schema] path"
        )


def created_lines(statuses: Mapping[str, TopicStatus], readings: str) -> Iterator[str]:
    """Yield what became of each topic; that of the readings should have been there before."""
    from sensorwatch.common.kafka.topics import TopicStatus

    for name, outcome in statuses.items():
        new = name == readings and outcome is TopicStatus.CREATED
        note = " (the readings' topic was not there: is [topics] readings right?)" if new else ""
        yield f"{name}: {outcome}{note}"


@app.command()
def check(
    rows: Annotated[
        int, typer.Option(min=0, max=100_000, help="How many of the latest readings to try.")
    ] = 1_000,
    config: ConfigOption = None,
) -> None:
    """Check that every topic is there, and try the schema on the latest readings.

    Exits with 1 if the schema would reject every one of them.
    """
    from sensorwatch.common.kafka.state_check import check_state_topics
    from sensorwatch.common.kafka.topics import require_topics
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config).settings
    partition_counts = require_topics(settings.kafka, _all_topic_names(settings))
    for name, partitions in partition_counts.items():
        print_line(f"{name}: {partitions} partition{'s' if partitions > 1 else ''}")
    check_state_topics(
        settings.kafka,
        readings=settings.topics.readings,
        state=settings.state_topic,
        snapshot_every_seconds=settings.consumer.snapshot_every_seconds,
        warn=lambda said: print_note(f"warning: {said}"),
    )
    if rows and settings.schema_.path.exists():
        _try_schema(settings, rows=rows)


def _try_schema(settings: Settings, *, rows: int) -> None:
    from sensorwatch.commands.recent_records import recent_records
    from sensorwatch.common.kafka.records import received_at
    from sensorwatch.common.rows.parsing import parse
    from sensorwatch.common.rows.schema import load_schema

    row_schema = load_schema(settings.schema_.path)
    topic = settings.topics.readings
    records = recent_records(settings.kafka, topic, rows=rows)
    _, rejections = parse(
        [record.value() for record in records],
        row_schema,
        received=[received_at(record) for record in records],
    )
    report = RejectionReport()
    report.add(len(records), rejections, location=lambda index: _record_position(records[index]))
    print_line(f"{topic}, the latest of it by {settings.schema_.path}:")
    for line in report.lines():
        print_line(line)
    if report.rows and report.rejected == report.rows:
        raise CheckFailed(
            f"all of the latest {report.rows} records of {topic} would be rejected: see "
            "`sensorwatch schema infer`, and [schema] path"
        )


def _record_position(record: Message) -> str:
    return f"{record.partition()}:{record.offset()}"


def _all_topic_names(settings: Settings) -> list[str]:
    topics = settings.topics
    made_of_group = [settings.ledger_topic, settings.state_topic]
    return [topics.readings, topics.anomalies, topics.dead_letters, *made_of_group]
