"""The command `sensorwatch topics`: create the topics, and check that they exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_line, print_note

if TYPE_CHECKING:
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
        typer.Option(
            min=1,
            max=10_000,
            help="Partitions of every topic except the ledger.",
        ),
    ] = 4,
    replication: Annotated[
        int, typer.Option(min=1, max=32, help="Replicas of each partition.")
    ] = 1,
    config: ConfigOption = None,
) -> None:
    """Create the missing topics of readings, results, ledger, state, scores and verdicts.

    There is no topic of scores if the setting [consumer] scores is false. The state topic gets as
    many partitions as the readings' topic, even if the readings' topic already exists.
    """
    from sensorwatch.common.kafka.topics import create_topics, topic_plans
    from sensorwatch.common.runtime.settings import load_settings, schema_file

    settings = load_settings(config).settings
    topic_names = {
        **settings.topics.model_dump(),
        "ledger": settings.ledger_topic,
        "state": settings.state_topic,
        "scores": settings.scores_topic if settings.consumer.scores else None,
        "verdicts": settings.verdicts_topic,
    }
    plans = topic_plans(**topic_names, partitions=partitions)
    statuses = create_topics(settings.kafka, plans, replication=replication)
    for line in created_lines(statuses, settings.topics.readings):
        print_line(line)
    path = schema_file(settings)
    if not path.exists():
        print_note(
            f"warning: there is no schema {path}, which `train` and `topics check` need: "
            "write it with `sensorwatch schema infer FILE`, or correct [schema] path"
        )


def created_lines(statuses: Mapping[str, TopicStatus], readings_topic: str) -> Iterator[str]:
    """Yield a line with the status of each topic.

    The line of the readings' topic has a note if this topic did not exist before.
    """
    from sensorwatch.common.kafka.topics import TopicStatus

    for name, status in statuses.items():
        is_new_input = name == readings_topic and status is TopicStatus.CREATED
        note = (
            " (the readings' topic did not exist: check [topics] readings)" if is_new_input else ""
        )
        yield f"{name}: {status}{note}"


@app.command()
def check(
    rows: Annotated[
        int, typer.Option(min=0, max=100_000, help="Number of latest records to check.")
    ] = 1_000,
    config: ConfigOption = None,
) -> None:
    """Check that every topic exists, and check the latest readings against the schema.

    The exit code is 1 if the schema would reject all checked records.
    """
    from sensorwatch.common.kafka.scores_check import check_scores_topic
    from sensorwatch.common.kafka.state_check import check_state_topics
    from sensorwatch.common.kafka.topics import require_topics
    from sensorwatch.common.runtime.settings import load_settings, schema_file

    settings = load_settings(config).settings
    partition_counts = require_topics(settings.kafka, all_topic_names(settings))
    for name, partitions in partition_counts.items():
        print_line(f"{name}: {partitions} partition{'s' if partitions > 1 else ''}")
    check_state_topics(
        settings.kafka,
        readings_topic=settings.topics.readings,
        state_topic=settings.state_topic,
        snapshot_every_seconds=settings.consumer.snapshot_every_seconds,
        warn=_print_warning,
    )
    if settings.consumer.scores:
        check_scores_topic(settings.kafka, settings.scores_topic, warn=_print_warning)
    if rows and schema_file(settings).exists():
        _check_latest_records(settings, rows=rows)


def _check_latest_records(settings: Settings, *, rows: int) -> None:
    from sensorwatch.commands.latest_records import read_latest_records
    from sensorwatch.common.rows.schema import load_schema
    from sensorwatch.common.runtime.row_summary_output import print_row_summary
    from sensorwatch.common.runtime.settings import schema_file

    row_schema = load_schema(schema_file(settings))
    topic = settings.topics.readings
    latest = read_latest_records(settings, row_schema, rows=rows)
    report = latest.report
    print_line(f"latest records of {topic}, checked with {schema_file(settings)}:")
    for line in report.lines():
        print_line(line)
    for reason, count in latest.absorbed.items():
        print_line(f"{count} more records are absorbed: {reason}")
    print_row_summary(latest.summary, row_schema)
    if report.rows and report.rejected == report.rows:
        raise CheckFailed(
            f"all of the latest {report.rows} records of {topic} would be rejected: see "
            "`sensorwatch schema infer`, and [schema] path"
        )


def _print_warning(text: str) -> None:
    print_note(f"warning: {text}")


def all_topic_names(settings: Settings) -> list[str]:
    """Return the names of all topics."""
    topics = settings.topics
    group_topics = [settings.ledger_topic, settings.state_topic]
    if settings.consumer.scores:
        group_topics.append(settings.scores_topic)
    return [topics.readings, topics.anomalies, topics.dead_letters, *group_topics]
