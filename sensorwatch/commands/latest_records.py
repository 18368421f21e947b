"""Check the latest readings of a topic against the schema."""

from collections import Counter
from dataclasses import dataclass

from confluent_kafka import Message

from sensorwatch.commands.recent_records import recent_records
from sensorwatch.commands.rejection_report import RejectionReport
from sensorwatch.common.kafka.records import received_at
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.rows.absorption import ABSORBED_REASONS, ABSORBED_TEXTS
from sensorwatch.common.rows.records import parse_records
from sensorwatch.common.rows.row_summary import RowSummary, summarize
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import Settings


@dataclass(frozen=True, slots=True)
class LatestRecords:
    """The latest records of the input, read with a schema."""

    report: RejectionReport
    absorbed: Counter[str]
    """Number of absorbed records by the text of their reason."""
    summary: RowSummary


def read_latest_records(settings: Settings, schema: Schema, *, rows: int) -> LatestRecords:
    """Read the latest `rows` records of the input; raises BrokerUnavailable."""
    records = recent_records(settings.kafka, settings.topics.readings, rows=rows)
    parsed = parse_records(
        [record.value() for record in records],
        schema,
        received=[received_at(record) for record in records],
        sources=sources_of_records(records, schema),
    )
    report = RejectionReport()
    report.add(
        len(records) - len(parsed.absorbed),
        parsed.rejections,
        location=lambda index: _record_position(records[index]),
    )
    absorbed = Counter(
        ABSORBED_TEXTS[ABSORBED_REASONS[number - 1]] for number in parsed.absorbed.reason.tolist()
    )
    return LatestRecords(report, absorbed, summarize(parsed.readings))


def _record_position(record: Message) -> str:
    return f"{record.partition()}:{record.offset()}"
