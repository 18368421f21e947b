"""The command `sensorwatch topics`: create the topics, and check that they exist."""

from __future__ import annotations

from collections import Counter
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
        typer.Option(
            min=1,
            max=10_000,
            help="Partitions of readings, anomalies, dead letters and state.",
        ),
    ] = 4,
    replication: Annotated[
        int, typer.Option(min=1, max=32, help="Replicas of each partition.")
    ] = 1,
    config: ConfigOption = None,
) -> None:
    """Create the missing topics: readings, anomalies, dead letters, ledger, state and verdicts.

    The state topic gets as many partitions as the readings' topic, even if the readings' topic
    already exists.
    """
    from sensorwatch.common.kafka.topics import create_topics, topic_plans
    from sensorwatch.common.runtime.settings import load_settings, schema_file

    settings = load_settings(config).settings
    topic_names = {
        **settings.topics.model_dump(),
        "ledger": settings.ledger_topic,
        "state": settings.state_topic,
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
    from sensorwatch.common.kafka.state_check import check_state_topics
    from sensorwatch.common.kafka.topics import require_topics
    from sensorwatch.common.runtime.settings import load_settings, schema_file

    settings = load_settings(config).settings
    partition_counts = require_topics(settings.kafka, _all_topic_names(settings))
    for name, partitions in partition_counts.items():
        print_line(f"{name}: {partitions} partition{'s' if partitions > 1 else ''}")
    check_state_topics(
        settings.kafka,
        readings_topic=settings.topics.readings,
        state_topic=settings.state_topic,
        snapshot_every_seconds=settings.consumer.snapshot_every_seconds,
        warn=lambda text: print_note(f"warning: {text}"),
    )
    if rows and schema_file(settings).exists():
        _check_latest_records(settings, rows=rows)


def _check_latest_records(settings: Settings, *, rows: int) -> None:
    from sensorwatch.commands.recent_records import recent_records
    from sensorwatch.common.kafka.records import received_at
    from sensorwatch.common.kafka.source_values import sources_of_records
    from sensorwatch.common.rows.absorption import ABSORBED_REASONS, ABSORBED_TEXTS
    from sensorwatch.common.rows.records import parse_records
    from sensorwatch.common.rows.row_summary import summarize
    from sensorwatch.common.rows.schema import load_schema
    from sensorwatch.common.runtime.row_summary_output import print_row_summary
    from sensorwatch.common.runtime.settings import schema_file

    row_schema = load_schema(schema_file(settings))
    topic = settings.topics.readings
    records = recent_records(settings.kafka, topic, rows=rows)
    parsed = parse_records(
        [record.value() for record in records],
        row_schema,
        received=[received_at(record) for record in records],
        sources=sources_of_records(records, row_schema),
    )
    report = RejectionReport()
    report.add(
        len(records) - len(parsed.absorbed),
        parsed.rejections,
        location=lambda index: _record_position(records[index]),
    )
    print_line(f"latest records of {topic}, checked with {schema_file(settings)}:")
    for line in report.lines():
        print_line(line)
    absorbed_counts = Counter(ABSORBED_REASONS[n - 1] for n in parsed.absorbed.reason.tolist())
    for reason, count in absorbed_counts.items():
        print_line(f"{count} more records are absorbed: {ABSORBED_TEXTS[reason]}")
    print_row_summary(summarize(parsed.readings), row_schema)
    if report.rows and report.rejected == report.rows:
        raise CheckFailed(
            f"all of the latest {report.rows} records of {topic} would be rejected: see "
            "`sensorwatch schema infer`, and [schema] path"
        )


def _record_position(record: Message) -> str:
    return f"{record.partition()}:{record.offset()}"


def _all_topic_names(settings: Settings) -> list[str]:
    topics = settings.topics
    group_topics = [settings.ledger_topic, settings.state_topic]
    return [topics.readings, topics.anomalies, topics.dead_letters, *group_topics]
